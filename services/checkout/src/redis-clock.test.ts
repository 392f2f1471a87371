/** The estimate of Redis' clock: never further off than it says. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RedisClock } from './redis-clock.ts';

test('before the first sample nothing is surely before anything', () => {
  const clock = new RedisClock({ time: () => Promise.resolve(0) });
  assert.equal(clock.isSurelyBefore(Number.MAX_SAFE_INTEGER), false);
});

test('what is surely before the opening is before it by the clock of Redis, however slow and uneven the way there', async () => {
  const trip = fc.record({ there: fc.nat(400), back: fc.nat(400), idle: fc.nat(60_000) });
  const skew = fc.integer({ min: -3_600_000, max: 3_600_000 });
  await fc.assert(
    fc.asyncProperty(
      skew,
      fc.array(trip, { minLength: 1, maxLength: 8 }),
      fc.nat(2_000),
      async (offset, trips, ahead) => {
        let monotonic = 5_000;
        const redisNow = (): number => 1_800_000_000_000 + offset + monotonic;
        let way = { there: 0, back: 0 };
        const time = (): Promise<number> => {
          monotonic += way.there;
          const now = redisNow();
          monotonic += way.back;
          return Promise.resolve(now);
        };
        const clock = new RedisClock({ time }, () => monotonic);
        for (const { there, back, idle } of trips) {
          way = { there, back };
          await clock.sample();
          monotonic += idle;
        }
        const opensAt = redisNow() + ahead - 1_000;
        if (clock.isSurelyBefore(opensAt)) assert.ok(redisNow() < opensAt);
        // And it is of use: two seconds ahead with a quick round trip is sure.
        if (way.there + way.back < 100) assert.ok(clock.isSurelyBefore(redisNow() + 2_000));
      },
    ),
  );
});

test('a sample with a longer round trip does not replace a better one', async () => {
  let monotonic = 0;
  let trip = 2;
  const time = (): Promise<number> => {
    monotonic += trip;
    return Promise.resolve(1_000_000 + monotonic);
  };
  const clock = new RedisClock({ time }, () => monotonic);
  await clock.sample();
  const before = clock.now() - monotonic;
  trip = 500;
  await clock.sample();
  assert.equal(clock.now() - monotonic, before);
});
