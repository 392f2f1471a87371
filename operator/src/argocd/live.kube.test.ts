/** Argo CD and the operator on a real API server: the health of a sale in each phase of its life, its buttons, its workloads. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { freePort, startRedis, testFolder, testKube, type RunningServer } from '@flashsale/local/testing';
import type { KubeObject } from '@flashsale/kube/object';
import { TOPICS, type Phase } from '@flashsale/sale';
import { openCluster, type Cluster } from '../api/cluster.fixture.ts';
import { NAME } from '../kube/cluster.ts';
import { DEPLOYMENTS } from '../kube/workloads.ts';
import { createDeployment, Sales, startKubelet, startOperator } from '../kube/world.fixture.ts';
import type { SaleStatus } from '../status.ts';
import { World } from '../world.fixture.ts';
import { act, actionsOf, healthOf, mergePatchOf, startLua, type Health, type Lua } from './lua.fixture.ts';

const READY_MS = 300;
let redis: RunningServer;
let world: World;
let cluster: Cluster;
let sales: Sales;
let lua: Lua;
let stopKubelet: () => Promise<void>;
before(async () => {
  redis = await startRedis({ dataDir: join(testFolder(), 'redis-argocd'), port: await freePort(), durable: false });
  world = await World.start(redis.url);
  cluster = await openCluster(await testKube());
  sales = new Sales(cluster.client, cluster.namespace);
  lua = await startLua();
  stopKubelet = await startKubelet(cluster.client, cluster.namespace, READY_MS);
});
after(async () => {
  await lua.close();
  await sales.clear();
  await stopKubelet();
  await cluster.close();
  await world.stop();
  await redis.stop();
});

const is = (phase: Phase) => (status: SaleStatus) => status.phase === phase;
const isPaused = (status: SaleStatus): boolean =>
  status.conditions.some(({ type, status: value }) => type === 'Paused' && value === 'True');

async function live(name: string): Promise<object> {
  const found = await sales.get(name);
  assert.ok(found);
  return found;
}
const health = async (name: string): Promise<Health> => healthOf(lua, await live(name));

/** As Argo CD does it: only what is offered, and only what the action has changed. */
async function press(name: string, action: string): Promise<void> {
  const was = await live(name);
  const offered = (await actionsOf(lua, was)).filter(({ disabled }) => !disabled);
  assert.deepEqual(
    offered.map((one) => one.name),
    [action],
  );
  await cluster.client.call({
    method: 'PATCH',
    path: `${cluster.sales}/${name}?fieldManager=argocd-server`,
    contentType: 'application/merge-patch+json',
    body: mergePatchOf(was, await act(lua, action, was)),
  });
}

interface ManagedFields {
  readonly manager: string;
  readonly fieldsV1?: { readonly 'f:spec'?: { readonly 'f:replicas'?: object } };
}

/** Who owns the replicas of a Deployment, and so decides whether Argo CD looks at them. */
async function ownersOfReplicas(name: string): Promise<string[]> {
  const deployments = cluster.client.resource<KubeObject>(DEPLOYMENTS);
  const { metadata } = await deployments.get({ name, namespace: cluster.namespace });
  const { managedFields = [] } = metadata as { readonly managedFields?: readonly ManagedFields[] };
  return managedFields.filter(({ fieldsV1 }) => fieldsV1?.['f:spec']?.['f:replicas']).map(({ manager }) => manager);
}

test('an application of a sale is healthy, busy and suspended when its sale is', async (t) => {
  const operator = await startOperator(world, cluster.config, cluster.namespace);
  t.after(() => operator.stop());
  const name = 'argo';
  await createDeployment(cluster, 'argo-till', 1);
  assert.deepEqual(await ownersOfReplicas('argo-till'), ['tests']);
  const target = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'argo-till' };
  const lag = { topic: TOPICS.purchases, group: 'payments', perReplica: 10 };
  const opensAt = Date.now() + 5_000;
  await sales.apply(name, { opensAt, closesAt: opensAt + 60_000, scale: [{ target, max: 5, warm: 3, lag }] });
  await sales.apply('argo-later', { opensAt: opensAt + 36_000_000, closesAt: opensAt + 72_000_000 });
  assert.equal((await health(name)).status, 'Progressing', 'nobody has looked at it');

  await sales.until(operator, 'argo-later', is('Scheduled'));
  assert.equal((await health('argo-later')).status, 'Healthy');
  await sales.until(operator, name, is('Warming'));
  assert.equal((await health(name)).status, 'Progressing');
  await sales.until(operator, name, is('Armed'));
  assert.equal((await health(name)).status, 'Healthy');
  assert.deepEqual(await ownersOfReplicas('argo-till'), [NAME]);

  await press(name, 'pause');
  assert.equal((await health(name)).status, 'Progressing', 'the operator does not know of the pause yet');
  await sales.until(operator, name, isPaused);
  assert.equal((await health(name)).status, 'Suspended');
  await sales.until(operator, name, is('Open'));
  assert.deepEqual(await world.buy(name, 1), ['paused']);
  await press(name, 'resume');
  await sales.until(operator, name, (status) => !isPaused(status));
  assert.equal((await health(name)).status, 'Healthy');
  assert.deepEqual(await world.buy(name, 2), ['reserved', 'reserved']);

  await sales.patch(name, { closesAt: new Date(Date.now() + 100).toISOString() });
  await sales.until(operator, name, is('Draining'));
  assert.equal((await health(name)).status, 'Progressing');
  assert.deepEqual(
    (await actionsOf(lua, await live(name))).map(({ disabled }) => disabled),
    [true, true],
  );
  const work = async (): Promise<void> => {
    await world.relay(name);
    await world.consume();
  };
  await sales.until(operator, name, (status) => status.proof !== undefined, work);
  assert.deepEqual(await health(name), { status: 'Healthy', message: 'Closed: 2 of 10 units sold, none twice' });
});
