/** The size and the stages of a run. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SCENARIOS, sizeOf, stagesOf } from './scenarios.ts';

test('two of buyers, rate and duration make the third', () => {
  assert.deepEqual(sizeOf('open-rush', { buyers: 600, rate: 50 }), { buyers: 600, rate: 50, seconds: 12, stock: 300 });
  assert.deepEqual(sizeOf('open-rush', { rate: 50, seconds: 4 }), { buyers: 200, rate: 50, seconds: 4, stock: 100 });
  assert.deepEqual(sizeOf('open-rush', { buyers: 100, seconds: 3 }), { buyers: 100, rate: 34, seconds: 3, stock: 50 });
  assert.throws(() => sizeOf('open-rush', { buyers: 1, rate: 1, seconds: 1 }), RangeError);
});

test('what is larger than a run may be is refused in words', () => {
  assert.throws(() => sizeOf('soak', { seconds: 100_000 }), /5000000 buyers are more than a run may have \(200000\)/);
  assert.throws(() => sizeOf('soak', { rate: 20_000 }), /20000 arrivals a second are more/);
});

test('a spike is the demand, half more than it, the demand again', () => {
  const size = sizeOf('spike', { rate: 100, seconds: 20 });
  assert.equal(size.buyers, 2400);
  assert.deepEqual(stagesOf('spike', size), [
    { name: 'before', rate: 100, seconds: 6, from: 0 },
    { name: 'peak', rate: 150, seconds: 8, from: 600 },
    { name: 'after', rate: 100, seconds: 6, from: 1800 },
  ]);
});

test('property: the stages have a place for every buyer, follow on each other, and the last wastes under a second', () => {
  const asked = fc.record({
    scenario: fc.constantFrom(...SCENARIOS),
    buyers: fc.integer({ min: 1, max: 100_000 }),
    rate: fc.integer({ min: 20, max: 5_000 }),
  });
  fc.assert(
    fc.property(asked, ({ scenario, buyers, rate }) => {
      const size = sizeOf(scenario, { buyers, rate });
      const stages = stagesOf(scenario, size);
      const ends = stages.map((stage) => stage.from + stage.rate * stage.seconds);
      assert.deepEqual(
        stages.map(({ from }) => from),
        [0, ...ends.slice(0, -1)],
      );
      const last = stages.at(-1);
      assert.ok((ends.at(-1) ?? 0) >= buyers);
      assert.ok(last && last.from + last.rate * (last.seconds - 1) < Math.max(buyers, last.from + 1));
    }),
  );
});
