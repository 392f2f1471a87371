/** Expiries in any two seconds against their mean: one load, loads at the same instant, and loads after loads. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ExpirySpread, shortestLife, type PageLife } from './expiry-spread.ts';
import { mostIn, WINDOW_MS } from './expiry.fixture.ts';

const NOW = 1_700_000_000_000;
const life = fc.record({
  ttlMs: fc.integer({ min: 10_000, max: 3_600_000 }),
  jitter: fc.double({ min: 0, max: 1, noNaN: true }),
});
const named = (from: number, count: number): string[] => Array.from({ length: count }, (_, i) => `page-${from + i}`);
const meanOf = (count: number, one: PageLife): number =>
  (count * WINDOW_MS) / Math.max(WINDOW_MS, one.ttlMs - shortestLife(one));

test('every page lives from ttl less jitter to ttl, and never less than a quarter of it', () => {
  fc.assert(
    fc.property(life, fc.integer({ min: 0, max: 500 }), (one, count) => {
      const lives = new ExpirySpread().place(named(0, count), one, NOW);
      assert.equal(lives.length, count);
      const least = one.ttlMs * Math.max(1 - one.jitter, 0.25);
      for (const ms of lives) assert.ok(ms >= least && ms <= one.ttlMs, `${ms} of ${one.ttlMs}`);
    }),
  );
});

test('one load: no two seconds hold more than twice the mean, or more than one page where that is less', () => {
  fc.assert(
    fc.property(life, fc.integer({ min: 1, max: 2_000 }), (one, count) => {
      const most = mostIn(new ExpirySpread().place(named(0, count), one, NOW));
      assert.ok(most <= Math.max(1, 2 * meanOf(count, one)), `${most}, mean ${meanOf(count, one)}`);
    }),
    { numRuns: 300 },
  );
});

test('loads of several sales at the same instant: no more than twice the mean, as whole pages, or than two', () => {
  const loads = fc.array(fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 40 })), { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(life, loads, (one, counts) => {
      const spread = new ExpirySpread();
      const all = counts.flatMap((count, load) => spread.place(named(load * 100, count), one, NOW));
      const mean = meanOf(all.length, one);
      const most = mostIn(all);
      assert.ok(most <= Math.max(2, Math.ceil(2 * mean)), `${most} of ${all.length}, mean ${mean}`);
    }),
    { numRuns: 300 },
  );
});

test('pages that are loaded again and again stay spread', () => {
  fc.assert(
    fc.property(life, fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 20 }), (one, count, rounds) => {
      const spread = new ExpirySpread();
      const pages = named(0, count);
      for (let round = 0; round < rounds; round++) {
        const at = NOW + round * Math.floor(shortestLife(one) / 2);
        const most = mostIn(spread.place(pages, one, at));
        assert.ok(most <= Math.max(1, 2 * meanOf(count, one)), `${most} in round ${round}`);
      }
    }),
  );
});

test('random lives would not do: a load of few pages almost always has too many in some two seconds', (t) => {
  const one = { ttlMs: 120_000, jitter: 0.3 };
  for (const count of [21, 50, 120]) {
    const random = (): number => shortestLife(one) + Math.random() * (one.ttlMs - shortestLife(one));
    const loads = Array.from({ length: 2_000 }, () => mostIn(Array.from({ length: count }, random)));
    const mean = meanOf(count, one);
    const over = loads.filter((most) => most > 2 * mean).length / loads.length;
    const placed = mostIn(new ExpirySpread().place(named(0, count), one, NOW));
    const words = `mean ${mean.toFixed(2)}; at random ${(100 * over).toFixed(1)} % above twice it, ${Math.max(...loads)} at worst`;
    t.diagnostic(`${count} pages: ${words}; placed ${placed}`);
    assert.ok(over > 0.3);
  }
});

test('10,000 pages among 10,000 others are placed in well under a second of work', () => {
  const spread = new ExpirySpread();
  const one = { ttlMs: 600_000, jitter: 0.5 };
  const first = spread.place(named(0, 10_000), one, NOW);
  const second = spread.place(named(10_000, 10_000), one, NOW);
  assert.ok(mostIn([...first, ...second]) <= 2 * meanOf(20_000, one));
});
