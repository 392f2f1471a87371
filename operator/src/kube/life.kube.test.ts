/** A sale's life through a real API server and a real Redis, with workloads, refusals, deletions and restarts. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { freePort, startRedis, testFolder, testKube, type RunningServer } from '@flashsale/local/testing';
import { EVENTS, type EventObject } from '@flashsale/kube/events';
import { TOPICS, type Phase } from '@flashsale/sale';
import { answerOf, openCluster, type Cluster } from '../api/cluster.fixture.ts';
import type { SaleStatus, StatusCondition } from '../status.ts';
import { itemOf, World } from '../world.fixture.ts';
import { FINALIZER } from './resources.ts';
import { DEPLOYMENTS, type ScalableObject } from './workloads.ts';
import {
  createAutoscaler,
  createDeployment,
  Sales,
  startKubelet,
  startOperator,
  type KubeOperator,
} from './world.fixture.ts';

const READY_MS = 300;
let redis: RunningServer;
let world: World;
let cluster: Cluster;
let sales: Sales;
let stopKubelet: () => Promise<void>;
before(async () => {
  redis = await startRedis({ dataDir: join(testFolder(), 'redis-life'), port: await freePort(), durable: false });
  world = await World.start(redis.url);
  cluster = await openCluster(await testKube());
  sales = new Sales(cluster.client, cluster.namespace);
  stopKubelet = await startKubelet(cluster.client, cluster.namespace, READY_MS);
});
after(async () => {
  await sales.clear();
  await stopKubelet();
  await cluster.close();
  await world.stop();
  await redis.stop();
});

const is = (phase: Phase) => (status: SaleStatus) => status.phase === phase;
const condition = (status: SaleStatus, type: string): StatusCondition => {
  const found = status.conditions.find((one) => one.type === type);
  assert.ok(found);
  return found;
};
const work = (name: string) => async (): Promise<void> => {
  await world.relay(name);
  await world.consume();
};
const scaleRule = (name: string, warm: number) => ({
  target: { apiVersion: 'apps/v1', kind: 'Deployment', name },
  max: 10,
  warm,
  lag: { topic: TOPICS.purchases, group: 'payments', perReplica: 10 },
});
const replicasOf = async (name: string): Promise<number | undefined> => {
  const deployments = cluster.client.resource<ScalableObject>(DEPLOYMENTS);
  return (await deployments.get({ name, namespace: cluster.namespace })).spec?.replicas;
};
async function eventsOf(name: string): Promise<string[]> {
  const { items } = await cluster.client.resource<EventObject>(EVENTS).list({ namespace: cluster.namespace });
  const own = items.filter((event) => (event['regarding'] as { name?: string }).name === name);
  return own.toSorted((a, b) => (a.eventTime < b.eventTime ? -1 : 1)).map((event) => String(event['reason']));
}
async function started(t: { after(fn: () => Promise<void>): void }): Promise<KubeOperator> {
  const operator = await startOperator(world, cluster.config, cluster.namespace);
  t.after(() => operator.stop());
  return operator;
}
const keysOf = (name: string): Promise<string[]> => world.redis.command('KEYS', `fs:{${name}:*`);

/** What the API server refuses while two units are sold, and what it lets through. */
async function assertEdits(operator: KubeOperator, name: string): Promise<void> {
  const fewer = await answerOf(sales.patch(name, { items: [itemOf(1)] }));
  assert.match(fewer.refusal ?? 'accepted', /write at least \["shoe: 2"\]: so many are sold or in payment/);
  const resharded = await answerOf(sales.patch(name, { warm: { shards: 3 } }));
  assert.match(resharded.refusal ?? 'accepted', /keep 2: the sale is Open/);
  const more = await sales.patch(name, { items: [itemOf(12)] });
  const raised = await sales.until(operator, name, (status) => status.items[0]?.stock === 12);
  assert.equal(raised.observedGeneration, more.metadata.generation);
}

/** The purchases of a sale that was removed are kept, so its name is taken: refused without a trace. */
async function assertNameIsTaken(operator: KubeOperator, name: string): Promise<void> {
  await sales.apply(name, {});
  const refused = await sales.until(operator, name, (status) => condition(status, 'Accepted').status === 'False');
  assert.match(condition(refused, 'Accepted').message, /has sold before/);
  await sales.delete(name);
  await sales.gone(operator, name);
  assert.ok((await eventsOf(name)).includes('Refused'));
}

test('a sale that is applied warms its workload, opens by the clock, sells, closes, and is deleted', async (t) => {
  const operator = await started(t);
  const name = 'whole-life';
  await createDeployment(cluster, 'till', 1);
  const opensAt = Date.now() + 4_000;
  await sales.apply(name, { opensAt, closesAt: opensAt + 60_000, scale: [scaleRule('till', 5)] });
  const armed = await sales.until(operator, name, is('Armed'));
  const [till] = armed.scale;
  assert.ok(till?.ready === 5 && till.readySeconds !== undefined, 'Ready, and measured');
  assert.deepEqual((await sales.get(name))?.metadata.finalizers, [FINALIZER]);

  // Once the words of the new phase are written, nothing changes and nothing is written.
  await operator.pass();
  const quiet = (await sales.get(name))?.metadata.resourceVersion;
  for (let passes = 0; passes < 3; passes++) await operator.pass();
  assert.equal((await sales.get(name))?.metadata.resourceVersion, quiet);
  assert.deepEqual(await world.buy(name, 1), ['notOpen']);

  const open = await sales.until(operator, name, is('Open'));
  assert.equal(open.epoch, 1);
  assert.deepEqual(await world.buy(name, 2), ['reserved', 'reserved']);
  await sales.until(operator, name, (status) => status.items[0]?.sold === 2, work(name));
  await assertEdits(operator, name);

  await sales.patch(name, { closesAt: new Date(Date.now() + 100).toISOString() });
  const closed = await sales.until(operator, name, (status) => status.proof !== undefined, work(name));
  assert.deepEqual([closed.proof?.problems, closed.proof?.sold], [[], 2]);
  await sales.until(operator, name, (status) => status.scale[0]?.desired === 1);
  assert.equal(await replicasOf('till'), 1, 'as it was found');
  assert.deepEqual(await eventsOf(name), ['Warming', 'Armed', 'Open', 'Draining', 'Closed']);

  await sales.delete(name);
  await sales.gone(operator, name);
  assert.deepEqual(await keysOf(name), []);
  await assertNameIsTaken(operator, name);
});

test('an open sale that is deleted is settled first, and its resource waits for that', async (t) => {
  const operator = await started(t);
  const name = 'deleted-open';
  await sales.apply(name, {});
  await sales.until(operator, name, is('Open'));
  assert.deepEqual(await world.buy(name, 3), ['reserved', 'reserved', 'reserved']);
  await sales.delete(name);
  await sales.until(operator, name, is('Draining'));
  assert.deepEqual(await world.buy(name, 1), ['closed']);
  for (let passes = 0; passes < 5; passes++) await operator.pass();
  assert.notEqual((await sales.get(name))?.metadata.deletionTimestamp, undefined);
  await sales.gone(operator, name, work(name));
  assert.equal([...world.entries.values()].filter(({ sale, status }) => sale === name && status === 'paid').length, 3);
  assert.deepEqual(await keysOf(name), []);
});

test('a workload of an autoscaler is left alone, and the sale says so', async (t) => {
  const operator = await started(t);
  const name = 'held';
  await createDeployment(cluster, 'held', 1);
  await createAutoscaler(cluster, 'held');
  await sales.apply(name, {
    opensAt: Date.now() + 600_000,
    closesAt: Date.now() + 900_000,
    scale: [scaleRule('held', 3)],
  });
  const status = await sales.until(
    operator,
    name,
    (found) => condition(found, 'ConsumersReady').reason === 'HeldByHPA',
  );
  assert.match(condition(status, 'ConsumersReady').message, /HorizontalPodAutoscaler\/held looks after it/);
  assert.deepEqual([status.phase, status.scale[0]?.heldBy], ['Warming', 'HorizontalPodAutoscaler/held']);
  assert.equal(await replicasOf('held'), 1);
});

test('an operator that is started anew in any phase goes on where the sale is', async (t) => {
  const name = 'restarted';
  let operator = await startOperator(world, cluster.config, cluster.namespace);
  t.after(() => operator.stop());
  const seen: string[] = [];
  const reach = async (phase: Phase, between?: () => Promise<unknown>): Promise<void> => {
    const status = await sales.until(operator, name, is(phase), between);
    seen.push(`${phase} ${status.epoch}`);
    await operator.stop();
    operator = await startOperator(world, cluster.config, cluster.namespace);
  };
  const opensAt = Date.now() + 6_000;
  const window = { opensAt, closesAt: opensAt + 60_000 };
  const scale = [scaleRule('restarted', 2)];
  await sales.apply(name, { ...window, scale, warm: { leadTime: '5s', shards: 2 } });
  await reach('Scheduled');
  await reach('Warming');
  await createDeployment(cluster, 'restarted', 1);
  await reach('Armed');
  await reach('Open');
  assert.deepEqual(await world.buy(name, 2), ['reserved', 'reserved']);
  await sales.patch(name, { closesAt: new Date(Date.now() + 50).toISOString() });
  await reach('Draining');
  await reach('Closed', work(name));
  const proven = await sales.until(operator, name, (status) => status.proof !== undefined);
  assert.deepEqual([proven.proof?.holds, proven.proof?.sold, proven.epoch], [true, 2, 1]);
  assert.deepEqual(seen, ['Scheduled 0', 'Warming 0', 'Armed 1', 'Open 1', 'Draining 1', 'Closed 1']);
  await sales.until(operator, name, (status) => status.scale[0]?.desired === 1);
  assert.equal(await replicasOf('restarted'), 1);
});
