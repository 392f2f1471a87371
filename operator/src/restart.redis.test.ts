/** An operator that starts anew while sales share a workload: it knows what they want before any of them is passed. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { testRedis } from '@flashsale/local/testing';
import type { OperatorDeps } from './scope.ts';
import { itemOf, World } from './world.fixture.ts';

let world: World;
beforeEach(async () => {
  world = await World.start(await testRedis());
});
afterEach(() => world.stop());

const TILL = 'Deployment/till';
const scale = [
  {
    target: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'till' },
    min: 1,
    max: 50,
    warm: 20,
    lag: { topic: 'flashsale.purchases', group: 'payments', perReplica: 100 },
  },
];

test('a sale that has ended does not take its consumers from one that is open', async () => {
  world.replicas.set(TILL, { desired: 2, ready: 2 });
  const first = world.operator();
  const spec = { scale, notReady: 'Open', warm: { leadTime: '1h', shards: 2, cache: { pages: 0 } } };
  const closesAt = Date.now() + 2_000;
  await world.apply('ended', { ...spec, closesAt, items: [itemOf(10, 'old')] });
  await world.apply('running', { ...spec, items: [itemOf(10, 'new')] });
  for (const name of ['ended', 'running']) await world.until(first, name, ({ phase }) => phase === 'Open');
  await world.until(first, 'ended', ({ phase, proof }) => phase === 'Closed' && proof !== undefined);
  assert.equal(world.replicas.get(TILL)?.desired, 20);

  const asked: number[] = [];
  const second = world.operator((deps: OperatorDeps) => ({
    ...deps,
    workloads: {
      ...deps.workloads,
      id: (target) => deps.workloads.id(target),
      get: (target) => deps.workloads.get(target),
      scale: (target, count) => {
        asked.push(count);
        return deps.workloads.scale(target, count);
      },
    },
  }));
  await second.pass();
  assert.deepEqual(asked, []);
});
