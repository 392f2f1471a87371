/** Delays double within their bounds, spread out, and obey a server that asks for more. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Backoff, exponential, TokenBucket } from './backoff.ts';
import { World } from './world.fixture.ts';

const options = fc.record({
  firstMs: fc.integer({ min: 1, max: 1000 }),
  mostMs: fc.integer({ min: 1000, max: 60_000 }),
});

test('delays never shrink, never pass the bound, and stay finite after any number of failures', () => {
  fc.assert(
    fc.property(options, fc.integer({ min: 0, max: 5000 }), (o, failures) => {
      const delay = exponential(o, failures);
      assert.ok(delay <= o.mostMs && delay >= Math.min(o.firstMs, o.mostMs));
      assert.ok(exponential(o, failures + 1) >= delay);
    }),
  );
});

test('jitter spreads a delay over half to one and a half of it; the server is never asked too early', () => {
  fc.assert(
    fc.property(
      options,
      fc.nat(20),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      fc.nat(10_000),
      (o, n, r, asked) => {
        const clock = new World(() => r).clock();
        const backoff = new Backoff(o, clock);
        let delay = 0;
        for (let i = 0; i <= n; i += 1) delay = backoff.next();
        const base = exponential(o, n);
        assert.ok(delay >= base * 0.5 && delay < base * 1.5);
        backoff.reset();
        const first = backoff.next(asked);
        assert.ok(first >= asked && first < asked + o.firstMs * 1.5);
      },
    ),
  );
});

test('a bucket lets through its burst and then its rate, whatever the pattern of asking', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(300), { minLength: 1, maxLength: 60 }), async (gaps) => {
      const world = new World();
      const clock = world.clock();
      const bucket = new TokenBucket(10, 5, clock);
      const turns: number[] = [];
      for (const gap of gaps) {
        turns.push(clock.now() + bucket.reserve());
        await world.run(gap);
      }
      for (const [i, at] of turns.entries()) {
        const within = turns.filter((other) => other > at - 1000 && other <= at).length;
        assert.ok(within <= 15 + 1, `${within} turns in the second before turn ${i}`);
      }
    }),
    { numRuns: 50 },
  );
});
