/** Workloads of a cluster with nodes: scaled through the scale subresource ahead of the opening, by lag, and back. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { freePort, startKube, startRedis, testFolder, type RunningServer } from '@flashsale/local/testing';
import { KubeConfig } from '@flashsale/kube/client';
import type { KubeObject } from '@flashsale/kube/object';
import { TOPICS, type PartitionOffsets, type PurchaseLog } from '@flashsale/sale';
import { installRightsIn, kubeconfigOf, openCluster, type Cluster } from '../api/cluster.fixture.ts';
import type { OperatorDeps } from '../scope.ts';
import type { SaleStatus, StatusCondition } from '../status.ts';
import { World } from '../world.fixture.ts';
import { AUTOSCALERS, DEPLOYMENTS, type ScalableObject } from './workloads.ts';
import { createDeployment, Sales, startOperator, type KubeOperator } from './world.fixture.ts';

const NODES = 3;
const BEFORE = 5;
const WARM = 50;
/** Of each pod, from its start to Ready. */
const READY_MS = 2_000;
const OPENS_IN_MS = 20_000;
const PARTITIONS = 64;
const PER_REPLICA = 10;
const UNTIL_MS = 60_000;
const HPA_MIN = 3;

let redis: RunningServer;
let kube: RunningServer;
let world: World;
let cluster: Cluster;
let operatorConfig: KubeConfig;
let sales: Sales;
before(async () => {
  const dataDir = join(testFolder(), 'scale-kube');
  const server = await startKube({ dataDir, port: await freePort(), durable: false, nodes: NODES });
  kube = server;
  redis = await startRedis({ dataDir: join(testFolder(), 'scale-redis'), port: await freePort(), durable: false });
  world = await World.start(redis.url);
  cluster = await openCluster(server.kubeconfig);
  sales = new Sales(cluster.client, cluster.namespace);
  // With the rights of config/rbac and no others.
  await installRightsIn(cluster.client, cluster.namespace);
  operatorConfig = new KubeConfig();
  operatorConfig.loadFromString(await kubeconfigOf(cluster.client, cluster.config, cluster.namespace));
  // The controller of autoscalers looks every 15 s: it has done so by the time it is asked for.
  await createDeployment(cluster, 'held', 1);
  await createAutoscalerOf('held', HPA_MIN);
});
after(async () => {
  await world.stop();
  await redis.stop();
  await cluster.client.close();
  await kube.stop();
});

function createAutoscalerOf(name: string, minReplicas: number): Promise<unknown> {
  const scaleTargetRef = { apiVersion: 'apps/v1', kind: 'Deployment', name };
  return cluster.client.resource(AUTOSCALERS).create({
    metadata: { name, namespace: cluster.namespace },
    spec: { minReplicas, maxReplicas: 10, scaleTargetRef },
  } as KubeObject);
}

/** Pods that take their time to be Ready. */
async function createSlowDeployment(name: string, replicas: number): Promise<void> {
  const labels = { app: name };
  const annotations = { 'pod-ready.stage.kwok.x-k8s.io/delay': `${READY_MS}ms` };
  const template = { metadata: { labels, annotations }, spec: { containers: [{ name: 'main', image: 'none' }] } };
  await cluster.client.resource(DEPLOYMENTS).create({
    metadata: { name, namespace: cluster.namespace },
    spec: { replicas, selector: { matchLabels: labels }, template },
  } as KubeObject);
}

async function deployment(name: string): Promise<{ replicas: number | undefined; ready: number }> {
  const found = await cluster.client.resource<ScalableObject>(DEPLOYMENTS).get({ name, namespace: cluster.namespace });
  return { replicas: found.spec?.replicas, ready: found.status?.readyReplicas ?? 0 };
}

async function untilIs(name: string, count: number): Promise<void> {
  const deadline = Date.now() + UNTIL_MS;
  for (;;) {
    const found = await deployment(name);
    if (found.replicas === count && found.ready === count) return;
    assert.ok(Date.now() < deadline, `${name} has ${JSON.stringify(found)}, not ${count}`);
    await pause(50);
  }
}

const scaleRule = (name: string, warm: number) => ({
  target: { apiVersion: 'apps/v1', kind: 'Deployment', name },
  min: 1,
  max: 60,
  warm,
  lag: { topic: TOPICS.purchases, group: 'payments', perReplica: PER_REPLICA },
});

const condition = (status: SaleStatus, type: string): StatusCondition => {
  const found = status.conditions.find((one) => one.type === type);
  assert.ok(found, type);
  return found;
};

/** The log of the world, and on further partitions so many purchases that nobody has read yet. */
class Backlog {
  behind = 0;

  readonly wrap = (deps: OperatorDeps): OperatorDeps => {
    const { log } = deps;
    const offsets: PurchaseLog['offsets'] = async (topic, group) => {
      const own = await log.offsets(topic, group);
      return topic === TOPICS.purchases && group === 'payments' ? [...own, ...this.#further()] : own;
    };
    return { ...deps, log: { offsets, readAll: (topic) => log.readAll(topic) } };
  };

  #further(): PartitionOffsets[] {
    return Array.from({ length: PARTITIONS - 1 }, (_none, index) => {
      const committed = 1_000;
      const share =
        Math.floor((this.behind * (index + 1)) / (PARTITIONS - 1)) -
        Math.floor((this.behind * index) / (PARTITIONS - 1));
      return { partition: index + 1, start: 0, end: committed + share, committed };
    });
  }
}

async function started(t: { after(fn: () => Promise<void>): void }, backlog = new Backlog()): Promise<KubeOperator> {
  const operator = await startOperator(world, operatorConfig, cluster.namespace, backlog.wrap);
  t.after(() => operator.stop());
  return operator;
}

test('5 → 50 Ready before the opening, with the backlog while open, and 5 again', { timeout: 180_000 }, async (t) => {
  const backlog = new Backlog();
  const operator = await started(t, backlog);
  const name = 'rush';
  await createSlowDeployment('tills', BEFORE);
  await untilIs('tills', BEFORE);
  const opensAt = (await world.store.time()) + OPENS_IN_MS;
  const appliedAt = Date.now();
  await sales.apply(name, { opensAt, closesAt: opensAt + 600_000, scale: [scaleRule('tills', WARM)] });
  const seen: string[] = [];
  const armed = await sales.until(operator, name, (status) => {
    const [tills] = status.scale;
    seen.push(`${status.phase} ${tills?.desired ?? 0}`);
    if (status.phase === 'Armed') assert.equal(tills?.ready, WARM, 'not Armed before all are Ready');
    return status.phase === 'Armed';
  });
  const tookMs = Date.now() - appliedAt;
  assert.ok((await world.store.time()) < opensAt, 'Armed before the opening');
  assert.deepEqual(await deployment('tills'), { replicas: WARM, ready: WARM });
  assert.ok(seen.includes(`Warming ${WARM}`), 'warms while they start');
  const [tills] = armed.scale;
  const learned = tills?.readySeconds ?? 0;
  assert.ok(learned * 1000 >= READY_MS && (learned - 1) * 1000 <= tookMs, `learned ${learned} s in ${tookMs} ms`);
  assert.equal(tills?.before, BEFORE);
  t.diagnostic(`5 → ${WARM} Ready and Armed ${tookMs} ms after the sale was applied; learned ${learned} s`);

  await sales.until(operator, name, ({ phase }) => phase === 'Open');
  backlog.behind = 56 * PER_REPLICA;
  const busy = await sales.until(operator, name, ({ scale: [now] }) => now?.ready === 56);
  assert.deepEqual([busy.scale[0]?.lag, busy.scale[0]?.desired, busy.scale[0]?.readySeconds], [560, 56, learned]);
  assert.deepEqual(await deployment('tills'), { replicas: 56, ready: 56 });

  backlog.behind = 0;
  await sales.patch(name, { closesAt: new Date((await world.store.time()) + 100).toISOString() });
  await sales.until(operator, name, ({ scale: [now] }) => now?.desired === BEFORE);
  await untilIs('tills', BEFORE);
  const { proof } = await sales.until(operator, name, (status) => status.proof !== undefined);
  assert.equal(proof?.holds, true);
});

test('what a real autoscaler holds is left to it, and is enough where it has as many Ready', async (t) => {
  const operator = await started(t);
  await untilIs('held', HPA_MIN);
  const opensAt = (await world.store.time()) + 600_000;
  const apply = (name: string, warm: number): Promise<void> =>
    sales.apply(name, { opensAt, closesAt: opensAt + 60_000, scale: [scaleRule('held', warm)] });
  await apply('too-many', HPA_MIN + 2);
  await apply('enough', HPA_MIN);
  const enough = await sales.until(operator, 'enough', ({ phase }) => phase === 'Armed');
  assert.deepEqual([enough.scale[0]?.heldBy, enough.scale[0]?.ready], ['HorizontalPodAutoscaler/held', HPA_MIN]);
  const isHeld = (status: SaleStatus): boolean => condition(status, 'ConsumersReady').reason === 'HeldByHPA';
  const held = await sales.until(operator, 'too-many', isHeld);
  assert.match(condition(held, 'ConsumersReady').message, /HorizontalPodAutoscaler\/held looks after it/);
  assert.equal(condition(held, 'ConsumersReady').status, 'False');
  for (let passes = 0; passes < 5; passes++) await operator.pass();
  assert.deepEqual(await deployment('held'), { replicas: HPA_MIN, ready: HPA_MIN });
  assert.equal((await sales.get('too-many'))?.status?.phase, 'Warming');
});
