/** When the next pass is: at once, soon, or at what the clock asks for; a rest is spread and never past an instant. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PHASES, type Phase } from '@flashsale/sale';
import { longestRest, nextPass, PROOFS, urgencyOf, type Standing } from './pace.ts';
import { newStatus, type ScaleStatus, type SaleStatus } from './status.ts';

const MINUTE_MS = 60_000;
const OPENS_AT = Date.UTC(2026, 11, 1, 10);
const sale = {
  opensAt: OPENS_AT,
  closesAt: OPENS_AT + 30 * MINUTE_MS,
  warm: { leadTimeMs: 10 * MINUTE_MS, shards: 1, cache: { ttlMs: 1, jitter: 0, pages: 0 } },
};
const proof = (holds: boolean) => ({
  sale: 'drop',
  stock: 1,
  free: 1,
  held: 0,
  sold: 0,
  refunded: 0,
  oversold: 0,
  doubleBuyers: 0,
  unsettled: 0,
  holds,
  problems: [],
});
const target: ScaleStatus = { target: 'Deployment/till', lag: 0, desired: 1, ready: 1, before: 1 };

function standing(phase: Phase, now: number, change: Partial<SaleStatus> = {}, rest: Partial<Standing> = {}): Standing {
  return { sale, status: { ...newStatus, phase, ...change }, now, trouble: [], failedProofs: 0, ...rest };
}

test('a sale that waits for its opening is next looked at when its lead time begins, however it is spread', () => {
  const leadAt = OPENS_AT - 10 * MINUTE_MS;
  for (const random of [0, 0.5, 0.999]) {
    assert.equal(nextPass(standing('Scheduled', leadAt - MINUTE_MS), random), MINUTE_MS);
    assert.equal(nextPass(standing('Scheduled', leadAt - 1), random), 1);
    assert.equal(nextPass(standing('Scheduled', leadAt - 86_400_000), random), longestRest(random));
  }
  assert.deepEqual([longestRest(0), longestRest(0.5)], [5 * MINUTE_MS, 4.5 * MINUTE_MS]);
});

test('what ended rests once its proof holds, or was taken for the last time, and its workloads are as before', () => {
  const now = sale.closesAt + MINUTE_MS;
  const waits = (change: Partial<SaleStatus>, rest: Partial<Standing> = {}, phase: Phase = 'Closed'): boolean =>
    nextPass(standing(phase, now, change, rest), 0) === longestRest(0);
  const cases: readonly [boolean, boolean][] = [
    [waits({ proof: proof(true) }), true],
    [waits({}), false],
    [waits({ proof: proof(false) }), false],
    [waits({ proof: proof(false) }, { failedProofs: PROOFS }), true],
    [waits({ proof: proof(true), scale: [target] }), true],
    [waits({ proof: proof(true), scale: [{ ...target, desired: 5 }] }), false],
    [waits({ proof: proof(true), scale: [{ ...target, ready: 5 }] }), false],
    [waits({ proof: proof(true), scale: [{ ...target, ready: 0 }] }), true],
    [waits({ proof: proof(true), scale: [{ ...target, desired: 5, missing: true }] }), true],
    [waits({ proof: proof(true) }, { trouble: ['a server is away'] }), false],
    [waits({}, {}, 'Aborted'), true],
    [waits({ scale: [{ ...target, desired: 5 }] }, {}, 'Aborted'), false],
  ];
  for (const [at, [found, wanted]] of cases.entries()) assert.equal(found, wanted, `case ${at}`);
});

test('a sale that runs is looked at twice a second, and never later than the clock asks for something', () => {
  const instant = fc.integer({ min: OPENS_AT - 3_600_000, max: OPENS_AT + 3_600_000 });
  const one = fc.record({
    phase: fc.constantFrom(...PHASES),
    now: instant,
    scaleUp: fc.option(instant, { nil: undefined }),
    random: fc.double({ min: 0, max: 0.999, noNaN: true }),
  });
  const property = fc.property(one, ({ phase, now, scaleUp, random }) => {
    const scale = scaleUp === undefined ? [] : [{ ...target, scaleUpAt: new Date(scaleUp).toISOString() }];
    const ms = nextPass(standing(phase, now, { scale, proof: proof(true) }), random);
    const instants = [OPENS_AT - sale.warm.leadTimeMs, OPENS_AT, sale.closesAt, scaleUp ?? Infinity];
    assert.ok(ms > 0 && ms <= longestRest(0));
    for (const at of instants) assert.ok(at <= now || now + ms <= at, `${at} is missed`);
    if (!['Scheduled', 'Closed', 'Aborted'].includes(phase)) assert.ok(ms <= 500);
  });
  fc.assert(property);
});

test('who takes over looks at what is due before what can wait, at what is new first and at what is over last', () => {
  const of = (phase: Phase, opensIn: number): Pick<SaleStatus, 'phase' | 'accepted'> => {
    const window = { opensAt: OPENS_AT + opensIn, closesAt: OPENS_AT + opensIn + MINUTE_MS };
    return { phase, accepted: { ...sale, ...window } as NonNullable<SaleStatus['accepted']> };
  };
  const order = [
    undefined,
    of('Draining', -10 * MINUTE_MS),
    of('Open', -5 * MINUTE_MS),
    of('Warming', -2 * MINUTE_MS),
    of('Armed', MINUTE_MS),
    of('Scheduled', 2 * MINUTE_MS),
    of('Closed', -20 * MINUTE_MS),
  ];
  const urgencies = order.map(urgencyOf);
  assert.deepEqual(
    urgencies.toSorted((a, b) => a - b),
    urgencies,
  );
});
