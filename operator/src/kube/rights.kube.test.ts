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
import { testFolder } from '@flashsale/local/testing';
import type { KubeObject } from '@flashsale/kube/object';
import { startProxy, type Proxy } from '@flashsale/kube/proxy.fixture';
import { TOPICS } from '@flashsale/sale';
import type { Cluster } from '../api/cluster.fixture.ts';
import { granted, rightOf } from '../api/rights.fixture.ts';
import { BOUGHT, bundledOperator, buy, end, relay, type Confinement } from '../processes.fixture.ts';
import { itemOf } from '../world.fixture.ts';
import { startSurroundings, type Surroundings } from './processes.fixture.ts';
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
async function disturb({ cluster: { client, namespace }, until }: Surroundings): Promise<void> {
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
  await until(ARMED, ({ phase }) => phase === 'Warming');
  await become('True');
  await until(ARMED, ({ phase }) => phase === 'Armed');
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
async function sell({ sales, store, producer, published, until }: Surroundings): Promise<void> {
  const opensAt = Date.now();
  await sales.apply(SOLD, { opensAt, closesAt: opensAt + 600_000, items: [itemOf(20)] });
  await until(SOLD, ({ phase }) => phase === 'Open');
  const sale = await published(SOLD);
  assert.deepEqual(new Set(await buy(store, sale)), new Set(['reserved']));
  await relay(store, sale, producer);
  await until(SOLD, ({ items: [shoes] }) => shoes?.sold === BOUGHT);
  await sales.patch(SOLD, { closesAt: new Date(Date.now() + 100).toISOString() });
  const { proof } = await until(SOLD, (status) => status.proof !== undefined);
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
    const surroundings = await startSurroundings(cleanup, 'rights');
    const { cluster, sales, until } = surroundings;
    const { client, namespace } = cluster;
    cleanup.use({ [Symbol.asyncDispose]: await startKubelet(client, namespace, 100) });
    await createDeployment(cluster, 'till', 1);
    await createStatefulSet(cluster, 'desk');
    await createAutoscaler(cluster, 'another');

    const proxy = await startProxy(surroundings.kubeconfig);
    cleanup.defer(() => proxy.close());
    const KUBECONFIG = join(testFolder(), 'rights-proxy.kubeconfig');
    await writeFile(KUBECONFIG, proxy.config.exportConfig());
    chmodSync(KUBECONFIG, 0o644);
    const confined = confinement('/');
    t.diagnostic(`as user ${confined.id ?? process.getuid?.() ?? '?'}`);
    const { main, node, env } = await bundledOperator();
    const options = { ...confined, node: [...node, ...confined.node] };
    const operator = await surroundings.operate({ ...env, KUBECONFIG, HOME: '/nonexistent' }, main, options);
    await operator.heard('leading');

    const opensAt = Date.now() + 600_000;
    const scale = [scaled('Deployment', 'till'), scaled('StatefulSet', 'desk')];
    await sales.apply(ARMED, { opensAt, closesAt: opensAt + 600_000, items: [itemOf(20)], scale });
    await until(ARMED, ({ phase }) => phase === 'Armed');
    refuseOneStatus(proxy);
    await disturb(surroundings);
    await sell(surroundings);
    await removed(sales, ARMED);
    assert.equal(await end(operator.child, 'SIGTERM'), 0, 'drains and ends cleanly');

    const used = new Set(proxy.seen.flatMap(({ request }) => rightOf(request) ?? []));
    assert.deepEqual([...used].sort(), [...granted()].sort());
  },
);
