/**
 * The operator as operator/config runs it: with the rights of its roles, as another user, where it can write no file.
 * A sale lives its whole life, and every request is held against the roles: nothing is granted that is not used.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, statSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort, startKafka, startRedis, testDatabase, testFolder, testKube } from '@flashsale/local/testing';
import type { KubeObject } from '@flashsale/kube/object';
import { startProxy, type Proxy } from '@flashsale/kube/proxy.fixture';
import { createLogger } from '@flashsale/platform/log';
import { connectRedis, createSaleStore } from '@flashsale/platform/redis';
import { TOPICS, type SaleStore } from '@flashsale/sale';
import type { EventProducer } from '@flashsale/platform/kafka';
import { installRightsIn, kubeconfigOf, openCluster, type Cluster } from '../api/cluster.fixture.ts';
import { granted, rightOf } from '../api/rights.fixture.ts';
import {
  BOUGHT,
  bundledOperator,
  buy,
  end,
  payments,
  relay,
  start,
  startCatalog,
  type Confinement,
} from '../processes.fixture.ts';
import type { SaleStatus } from '../status.ts';
import { itemOf } from '../world.fixture.ts';
import { STATEFUL_SETS } from './workloads.ts';
import { createAutoscaler, createDeployment, Sales, startKubelet } from './world.fixture.ts';

const ARMED = 'confined-armed';
const SOLD = 'confined-sold';
const UNTIL_MS = 60_000;
/** The user of the Deployment. */
const USER = 65532;
/** What a read-only root leaves: reading. Node refuses every write, wherever to. */
const READ_ONLY = ['--permission', '--allow-fs-read=*'];

/** Whether any user may read the sources: a clone in a home folder is its owner's. */
function isPublic(path: string): boolean {
  const readable = (statSync(path).mode & 0o005) === 0o005;
  return readable && (dirname(path) === path || isPublic(dirname(path)));
}

/** As the user of the Deployment where the tests may choose it, else as whoever runs them. */
function confinement(cwd: string): Confinement {
  const mayChoose = process.getuid?.() === 0 && isPublic(fileURLToPath(new URL('..', import.meta.url)));
  return { node: READ_ONLY, cwd, ...(mayChoose ? { id: USER } : {}) };
}

test('Node in this mode can write no file', () => {
  const script = `require('fs').writeFileSync(${JSON.stringify(join(testFolder(), 'written'))}, '')`;
  const { status, stderr } = spawnSync(process.execPath, [...READ_ONLY, '-e', script], { encoding: 'utf8' });
  assert.equal(status, 1);
  assert.match(stderr, /ERR_ACCESS_DENIED/);
});

async function until(sales: Sales, name: string, wanted: (status: SaleStatus) => boolean): Promise<SaleStatus> {
  const deadline = Date.now() + UNTIL_MS;
  for (;;) {
    const status = (await sales.get(name))?.status as SaleStatus | undefined;
    if (status && wanted(status)) return status;
    assert.ok(Date.now() < deadline, `${String(wanted)}: ${JSON.stringify(status)}`);
    await pause(50);
  }
}

const scaled = (kind: string, name: string) => ({
  target: { apiVersion: 'apps/v1', kind, name },
  max: 4,
  warm: 2,
  lag: { topic: TOPICS.purchases, group: 'payments', perReplica: 100 },
});

async function createStatefulSet({ client, namespace }: Cluster, name: string): Promise<void> {
  const labels = { app: name };
  const template = { metadata: { labels }, spec: { containers: [{ name: 'main', image: 'none' }] } };
  await client.resource(STATEFUL_SETS).create({
    metadata: { name, namespace },
    spec: { replicas: 1, serviceName: name, selector: { matchLabels: labels }, template },
  } as KubeObject);
}

/** A pod is not Ready for a while: the sale is not Armed until it is again, and the same Event comes once more. */
async function disturb({ client, namespace }: Cluster, sales: Sales): Promise<void> {
  const pods = `/api/v1/namespaces/${namespace}/pods`;
  const { items } = await client.call<{ items: KubeObject[] }>({ method: 'GET', path: pods });
  const [pod] = items;
  assert.ok(pod);
  const path = `${pods}/${pod.metadata.name}/status`;
  const become = (status: 'True' | 'False'): Promise<unknown> => {
    const body = { status: { conditions: [{ type: 'Ready', status }] } };
    return client.call({ method: 'PATCH', path, body, contentType: 'application/merge-patch+json' });
  };
  await become('False');
  await until(sales, ARMED, ({ phase }) => phase === 'Warming');
  await become('True');
  await until(sales, ARMED, ({ phase }) => phase === 'Armed');
}

async function removed(sales: Sales, name: string): Promise<void> {
  await sales.delete(name);
  const deadline = Date.now() + UNTIL_MS;
  while (await sales.get(name)) {
    assert.ok(Date.now() < deadline, `${name} is removed in time`);
    await pause(50);
  }
}

/** A sale that opens at once, sells, closes, is proven and removed. */
async function sell(sales: Sales, store: SaleStore, producer: EventProducer): Promise<void> {
  const opensAt = Date.now();
  await sales.apply(SOLD, { opensAt, closesAt: opensAt + 600_000, items: [itemOf(20)] });
  await until(sales, SOLD, ({ phase }) => phase === 'Open');
  const sale = (await store.published()).find(({ name }) => name === SOLD);
  assert.ok(sale);
  assert.deepEqual(new Set(await buy(store, sale)), new Set(['reserved']));
  await relay(store, sale, producer);
  await until(sales, SOLD, ({ items: [shoes] }) => shoes?.sold === BOUGHT);
  await sales.patch(SOLD, { closesAt: new Date(Date.now() + 100).toISOString() });
  const { proof } = await until(sales, SOLD, (status) => status.proof !== undefined);
  assert.deepEqual([proof?.holds, proof?.sold], [true, BOUGHT]);
  await removed(sales, SOLD);
}

/** The next status is refused, as if somebody else had written: the operator reads the sale anew. */
function refuseOneStatus(proxy: Proxy): void {
  proxy.fault = (request) => {
    if (!/^PATCH .*\/flashsales\/.*\/status/.test(request)) return undefined;
    proxy.fault = () => undefined;
    return { do: 'answer', status: 409 };
  };
}

test(
  'the operator lives a sale’s life with every right of its roles, and with no other',
  { timeout: 300_000 },
  async (t) => {
    const cleanup = new AsyncDisposableStack();
    t.after(() => cleanup.disposeAsync());
    const folderOf = (name: string): string => join(testFolder(), `rights-${name}`);
    const [kafka, redisServer, admin] = await Promise.all([
      startKafka({ dataDir: folderOf('kafka'), port: await freePort(), durable: false }),
      startRedis({ dataDir: folderOf('redis'), port: await freePort(), durable: false }),
      testKube(),
    ]);
    cleanup.defer(() => kafka.stop());
    cleanup.defer(() => redisServer.stop());
    const redis = connectRedis(redisServer.url, createLogger('test', 'silent'));
    await redis.start();
    cleanup.defer(() => redis.stop());
    const store = createSaleStore(redis);

    const cluster = await openCluster(admin);
    const { client, config, namespace } = cluster;
    const sales = new Sales(client, namespace);
    cleanup.defer(async () => {
      await sales.clear();
      await cluster.close();
    });
    cleanup.use({ [Symbol.asyncDispose]: await startKubelet(client, namespace, 100) });
    await createDeployment(cluster, 'till', 1);
    await createStatefulSet(cluster, 'desk');
    await createAutoscaler(cluster, 'another');

    const shared = { KAFKA_BROKERS: kafka.url, REDIS_URL: redisServer.url, OIDC_ISSUER: 'http://127.0.0.1:9' };
    const producer = await payments(cleanup, kafka.url);
    const DATABASE_URL = await testDatabase();
    const orders = await start(cleanup, '../../services/orders/src/main.ts', { ...shared, DATABASE_URL });

    await installRightsIn(client, namespace);
    const direct = `${folderOf('redis')}.kubeconfig`;
    await writeFile(direct, await kubeconfigOf(client, config, namespace), { mode: 0o600 });
    const proxy = await startProxy(direct);
    cleanup.defer(() => proxy.close());
    const KUBECONFIG = `${folderOf('redis')}.proxy.kubeconfig`;
    await writeFile(KUBECONFIG, proxy.config.exportConfig());
    chmodSync(KUBECONFIG, 0o644);
    const urls = { ORDERS_URL: orders.url, CATALOG_URL: await startCatalog(cleanup, redisServer.url) };
    const env = { ...shared, ...urls, KUBECONFIG, RESOURCES_DIR: '', SUPERVISOR_URL: '' };
    const confined = confinement('/');
    t.diagnostic(`as user ${confined.id ?? process.getuid?.() ?? '?'}`);
    const place = { WATCH_NAMESPACE: namespace, LEASE_NAMESPACE: namespace, HOME: '/nonexistent' };
    const { main, node } = await bundledOperator();
    const options = { ...confined, node: [...node, ...confined.node] };
    const operator = await start(cleanup, main, { ...env, ...place }, options);
    await operator.heard('leading');

    const opensAt = Date.now() + 600_000;
    const scale = [scaled('Deployment', 'till'), scaled('StatefulSet', 'desk')];
    await sales.apply(ARMED, { opensAt, closesAt: opensAt + 600_000, items: [itemOf(20)], scale });
    await until(sales, ARMED, ({ phase }) => phase === 'Armed');
    refuseOneStatus(proxy);
    await disturb(cluster, sales);
    await sell(sales, store, producer);
    await removed(sales, ARMED);
    assert.equal(await end(operator.child, 'SIGTERM'), 0, 'drains and ends cleanly');

    const used = new Set(proxy.seen.flatMap(({ request }) => rightOf(request) ?? []));
    assert.deepEqual([...used].sort(), [...granted()].sort());
  },
);
