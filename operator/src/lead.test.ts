/** When workloads are scaled up, and what is learned of how long they take. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { measured, scaleUpAt, type Measured } from './lead.ts';

const MINUTE = 60_000;
const OPENING = { opensAt: 100 * MINUTE, leadTimeMs: 30 * MINUTE };
const iso = (ms: number): string => new Date(ms).toISOString();

test('the scale-up starts as late as is safe by what was measured, and within the lead time', () => {
  const ahead = (seconds: number | undefined): number => OPENING.opensAt - scaleUpAt(OPENING, seconds);
  assert.equal(ahead(120), 3 * MINUTE, 'half as much again');
  assert.equal(ahead(5), MINUTE, 'a minute at least');
  assert.equal(ahead(0), MINUTE);
  assert.equal(ahead(undefined), 10 * MINUTE, 'never measured');
  assert.equal(ahead(3_600), 30 * MINUTE, 'no earlier than the warm-up');
  assert.equal(scaleUpAt({ ...OPENING, leadTimeMs: 0 }, 120), OPENING.opensAt);
});

test('whatever was measured: never before the lead time, never after the opening, and time enough', () => {
  const seconds = fc.option(fc.nat(100_000), { nil: undefined });
  const property = fc.property(fc.nat(10 ** 8), seconds, (leadTimeMs, ready) => {
    const at = scaleUpAt({ opensAt: 10 ** 9, leadTimeMs }, ready);
    assert.ok(at >= 10 ** 9 - leadTimeMs && at <= 10 ** 9);
    if (at > 10 ** 9 - leadTimeMs) assert.ok(10 ** 9 - at >= (ready ?? 0) * 1_000);
  });
  fc.assert(property);
});

test('measured is from the first scale-up ahead of the opening to the last replica Ready', () => {
  type Replicas = readonly [desired: number, ready: number, asked: number];
  const step = (known: Measured, [desired, ready, asked]: Replicas, at: number, ahead = true): Measured =>
    measured(known, { desired, ready, asked, ahead }, at);
  let known = step({}, [2, 2, 20], 1_000);
  assert.deepEqual(known, { askedAt: iso(1_000) });
  known = step(known, [20, 19, 20], 5_000);
  known = step(known, [20, 19, 25], 6_000);
  assert.deepEqual(known, { askedAt: iso(1_000) }, 'from the first');
  known = step(known, [25, 25, 25], 9_500);
  assert.deepEqual(known, { readySeconds: 9 });
  known = step(known, [25, 25, 30], 20_000, false);
  assert.deepEqual(known, { readySeconds: 9 }, 'a scale-up by lag is not measured');
  known = step(known, [30, 30, 35], 30_000);
  known = step(known, [35, 30, 2], 40_000);
  assert.deepEqual(known, { readySeconds: 9 }, 'called off');
});
