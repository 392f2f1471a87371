/** Our own rule: cases worked by hand, mostly where KEDA answers otherwise. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LagOptions } from './lag-replicas.ts';
import { ask, piled, spread } from './worked.fixture.ts';
import type { Worked } from './worked.fixture.ts';

const DRAIN: readonly Worked[] = [
  {
    why: 'never above the partitions, where KEDA rounds up to 5',
    partitions: spread(49, 0, 0, 0),
    metric: 49,
    active: true,
    want: 4,
  },
  {
    why: 'no dead zone: 11 × 10 wants 11 although 10 run',
    partitions: piled(13, 110),
    replicas: [10, 0, 99],
    metric: 110,
    active: true,
    want: 11,
  },
  {
    why: 'from zero at once to what is needed',
    partitions: spread(20, 20),
    replicas: [0, 0, 9],
    metric: 40,
    active: true,
    want: 2,
  },
  {
    why: '6000 records, 50 a second each, 30 s: 4',
    partitions: spread(1500, 1500, 1500, 1500, 0),
    options: { ratePerReplica: 50, targetSeconds: 30 },
    metric: 6000,
    active: true,
    want: 4,
  },
  {
    why: 'records deleted by retention cannot be read',
    partitions: [
      { committed: 0, start: 90, latest: 100 },
      { committed: 0, start: 0, latest: 0 },
    ],
    metric: 10,
    active: true,
    want: 1,
  },
  {
    why: 'no offset, earliest: only what retention left',
    partitions: [
      { committed: -1, start: 90, latest: 105 },
      { committed: 0, latest: 0 },
    ],
    options: { offsetResetPolicy: 'earliest' },
    metric: 15,
    active: true,
    want: 2,
  },
  {
    why: 'a topic made anew: no lag, not a negative one',
    partitions: [
      { committed: 50, latest: 10 },
      { committed: 0, latest: 15 },
    ],
    metric: 15,
    active: true,
    want: 2,
  },
  {
    why: 'nothing to do and min 0: to zero',
    partitions: spread(0, 0),
    replicas: [2, 0, 9],
    metric: 0,
    active: false,
    want: 0,
  },
  {
    why: 'the owner asked for 3 at least',
    partitions: spread(0),
    replicas: [1, 3, 9],
    metric: 0,
    active: false,
    want: 3,
  },
  {
    why: 'the next divisor',
    partitions: spread(31, 0, 0, 0, 0, 0),
    options: { ensureEvenDistributionOfPartitions: true },
    metric: 31,
    active: true,
    want: 6,
  },
  {
    why: 'a null option is an absent one',
    partitions: spread(15),
    options: { ratePerReplica: null } as unknown as LagOptions,
    metric: 15,
    active: true,
    want: 1,
  },
];

for (const worked of DRAIN) {
  test(`drain: ${worked.why}`, () => {
    const { metric, active, want } = worked;
    assert.deepEqual(ask('drain', worked), { id: 'a', metric, active, replicas: want });
  });
}
