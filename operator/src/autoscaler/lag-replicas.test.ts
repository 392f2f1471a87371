/** The laws that the autoscaler obeys for any input. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { lagReplicas } from './lag-replicas.ts';
import type { LagCase, LagPartition } from './lag-replicas.ts';

const partition = fc
  .record({ start: fc.nat(50), read: fc.integer({ min: -60, max: 200 }), lag: fc.nat(2000), lost: fc.boolean() })
  .map(({ start, read, lag, lost }): LagPartition => {
    const committed = Math.max(-1, start + read);
    return { committed, start, latest: lost ? null : Math.max(start, committed) + lag };
  });
const options = fc.record(
  {
    lagThreshold: fc.integer({ min: 1, max: 500 }),
    activationLagThreshold: fc.nat(50),
    offsetResetPolicy: fc.constantFrom('latest' as const, 'earliest' as const),
    allowIdleConsumers: fc.boolean(),
    limitToPartitionsWithLag: fc.boolean(),
    ensureEvenDistributionOfPartitions: fc.boolean(),
    scaleToZeroOnInvalidOffset: fc.boolean(),
    ratePerReplica: fc.integer({ min: 1, max: 100 }),
    targetSeconds: fc.integer({ min: 1, max: 60 }),
  },
  { requiredKeys: [] },
);
const question = fc
  .record({
    mode: fc.constantFrom('keda' as const, 'drain' as const),
    partitions: fc.array(partition, { maxLength: 24 }),
    options,
    currentReplicas: fc.nat(60),
    minReplicas: fc.nat(10),
    more: fc.integer({ min: 1, max: 50 }),
  })
  .map(({ more, ...rest }): LagCase => ({ id: 'p', ...rest, maxReplicas: rest.minReplicas + more }));

test('replicas are whole, within min and max, and none only where nothing is active', () => {
  fc.assert(
    fc.property(question, (asked) => {
      const { replicas, active } = lagReplicas(asked);
      assert.ok(Number.isSafeInteger(replicas));
      assert.ok(replicas >= asked.minReplicas && replicas <= asked.maxReplicas, `${replicas}`);
      if (replicas === 0) assert.equal(active, false);
    }),
  );
});

test('drain: never above the partitions unless the owner asked for more', () => {
  fc.assert(
    fc.property(question, (asked) => {
      const { replicas } = lagReplicas({ ...asked, mode: 'drain' });
      assert.ok(replicas <= Math.max(asked.partitions.length, asked.minReplicas, 1));
    }),
  );
});

test('drain: more lag never asks for fewer replicas, and the current number does not matter', () => {
  fc.assert(
    fc.property(question, fc.nat(23), fc.nat(5000), fc.nat(60), (asked, at, more, current) => {
      const before = lagReplicas({ ...asked, mode: 'drain' });
      const partitions = asked.partitions.map((one, i) =>
        i === at && typeof one.latest === 'number' ? { ...one, latest: one.latest + more } : one,
      );
      const after = lagReplicas({ ...asked, mode: 'drain', partitions, currentReplicas: current });
      assert.ok(after.replicas >= before.replicas, `${before.replicas} then ${after.replicas}`);
    }),
  );
});

test('drain: what it asks for drains the lag in time, where partitions and max allow it', () => {
  fc.assert(
    fc.property(question, fc.integer({ min: 1, max: 100 }), (asked, ratePerReplica) => {
      const { targetSeconds = 30 } = asked.options ?? {};
      const { metric, active, replicas } = lagReplicas({
        ...asked,
        mode: 'drain',
        options: { ...asked.options, limitToPartitionsWithLag: false, ratePerReplica },
      });
      const capped = replicas === asked.maxReplicas || replicas >= asked.partitions.length;
      // Up to the activation threshold nothing is started.
      assert.ok(!active || capped || replicas * ratePerReplica * targetSeconds >= metric);
    }),
  );
});

test('an option out of range is refused, and the message names case and option', () => {
  const asked = { id: 'c7', partitions: [], currentReplicas: 1, minReplicas: 0, maxReplicas: 1 };
  assert.throws(() => lagReplicas({ ...asked, options: { lagThreshold: 0 } }), /case c7: lagThreshold must be above 0/);
  assert.throws(() => lagReplicas({ ...asked, options: { activationLagThreshold: -1 } }), /case c7: activation/);
});
