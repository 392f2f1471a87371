/** Two operator processes and one lease, with the real orders, Redis and Kafka: the leader is paused, then killed. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { freePort, startKafka, startRedis, testDatabase, testFolder, testKube } from '@flashsale/local/testing';
import { LEASES, type Lease } from '@flashsale/kube/lease';
import { createLogger } from '@flashsale/platform/log';
import { connectRedis, createSaleStore } from '@flashsale/platform/redis';
import type { PublishedSale } from '@flashsale/sale';
import { openCluster, operatorKubeconfig, type Cluster } from '../api/cluster.fixture.ts';
import { BOUGHT, buy, end, payments, relay, start, type Service } from '../processes.fixture.ts';
import type { SaleStatus } from '../status.ts';
import { itemOf } from '../world.fixture.ts';
import { NAME } from './cluster.ts';
import type { FlashSaleObject } from './resources.ts';
import { Sales } from './world.fixture.ts';

const log = createLogger('test', 'silent');
const SALE = 'taken-over';
/** The lease of 15 s, the next try of who stands by (2.4 s), and its first pass on a busy machine. */
const TAKEOVER_MS = 25_000;
const UNTIL_MS = 60_000;

const LEASE = { namespace: 'flashsale-system', name: NAME };

async function leaseOf({ client }: Cluster): Promise<Lease['spec']> {
  return (await client.resource<Lease>(LEASES).get(LEASE)).spec;
}

async function until(
  sales: Sales,
  wanted: (status: SaleStatus, sale: FlashSaleObject) => boolean,
  ms = UNTIL_MS,
): Promise<SaleStatus> {
  const deadline = Date.now() + ms;
  for (;;) {
    const sale = await sales.get(SALE);
    const status = sale?.status as SaleStatus | undefined;
    if (sale && status && wanted(status, sale)) return status;
    assert.ok(Date.now() < deadline, `${String(wanted)}: ${JSON.stringify(status)}`);
    await pause(50);
  }
}

const soldIn = (status: SaleStatus): number => status.items.reduce((units, item) => units + item.sold, 0);

test('another operator takes over in the time of the lease, and no epoch repeats', { timeout: 300_000 }, async (t) => {
  const cleanup = new AsyncDisposableStack();
  t.after(() => cleanup.disposeAsync());
  const folderOf = (name: string): string => join(testFolder(), `takeover-${name}`);
  const [kafka, redisServer, kubeconfig] = await Promise.all([
    startKafka({ dataDir: folderOf('kafka'), port: await freePort(), durable: false }),
    startRedis({ dataDir: folderOf('redis'), port: await freePort(), durable: false }),
    testKube(),
  ]);
  cleanup.defer(() => kafka.stop());
  cleanup.defer(() => redisServer.stop());
  const redis = connectRedis(redisServer.url, log);
  await redis.start();
  cleanup.defer(() => redis.stop());
  const store = createSaleStore(redis);
  const cluster = await openCluster(kubeconfig);
  const sales = new Sales(cluster.client, cluster.namespace);
  cleanup.defer(async () => {
    await sales.clear();
    await cluster.close();
  });
  const shared = { KAFKA_BROKERS: kafka.url, REDIS_URL: redisServer.url, OIDC_ISSUER: 'http://127.0.0.1:9' };
  const producer = await payments(cleanup, kafka.url);
  const DATABASE_URL = await testDatabase();
  const orders = await start(cleanup, '../../services/orders/src/main.ts', { ...shared, DATABASE_URL });
  // With the rights of config/rbac and no others.
  const KUBECONFIG = join(folderOf('redis'), 'kubeconfig');
  await writeFile(KUBECONFIG, await operatorKubeconfig(cluster.client, cluster.config), { mode: 0o600 });
  const place = { KUBECONFIG, WATCH_NAMESPACE: cluster.namespace };
  const operate = (): Promise<Service> =>
    start(cleanup, 'main.ts', { ...shared, ORDERS_URL: orders.url, ...place, RESOURCES_DIR: '', SUPERVISOR_URL: '' });
  const published = async (): Promise<PublishedSale> => {
    const [sale] = await store.published();
    assert.ok(sale);
    return sale;
  };

  const first = await operate();
  await first.heard('leading');
  const firstLease = await leaseOf(cluster);
  const second = await operate();
  const opensAt = Date.now() + 1_000;
  await sales.apply(SALE, { opensAt, closesAt: opensAt + 600_000, items: [itemOf(20)] });
  await until(sales, ({ phase }) => phase === 'Open');
  assert.deepEqual(new Set(await buy(store, await published())), new Set(['reserved']));
  await relay(store, await published(), producer);
  await until(sales, (status) => soldIn(status) === BOUGHT);

  // It stands still in whatever it was doing. Redis is lost meanwhile: the next epoch is the other one's to use.
  first.child.kill('SIGSTOP');
  const pausedAt = Date.now();
  await redis.command('FLUSHALL');
  const rebuilt = await until(sales, ({ epoch, gate }) => epoch === 2 && gate.includes('open'), TAKEOVER_MS);
  t.diagnostic(`taken over from a paused leader, and rebuilt, in ${Date.now() - pausedAt} ms`);
  assert.equal(soldIn(rebuilt), BOUGHT);
  await second.heard('leading');
  const exit = new Promise<number | null>((done) => first.child.once('exit', done));
  first.child.kill('SIGCONT');
  assert.equal(await exit, 1, 'it ends as soon as it goes on');
  assert.deepEqual([(await published()).epoch, (await until(sales, () => true)).epoch], [2, 2]);

  const third = await operate();
  await end(second.child, 'SIGKILL');
  const killedAt = Date.now();
  await redis.command('FLUSHALL');
  await until(sales, ({ epoch, gate }) => epoch === 3 && gate.includes('open'), TAKEOVER_MS);
  t.diagnostic(`taken over from a killed leader, and rebuilt, in ${Date.now() - killedAt} ms`);
  assert.equal((await leaseOf(cluster))?.leaseTransitions, (firstLease?.leaseTransitions ?? 0) + 2);

  await sales.delete(SALE);
  const deadline = Date.now() + UNTIL_MS;
  while (await sales.get(SALE)) {
    assert.ok(Date.now() < deadline, 'removed in time');
    await pause(50);
  }
  assert.deepEqual(await redis.command('KEYS', `fs:{${SALE}:*`), []);
  assert.equal(await end(third.child, 'SIGTERM'), 0, 'drains and ends cleanly');
  assert.equal((await leaseOf(cluster))?.holderIdentity ?? '', '', 'and gives the lease back');
});
