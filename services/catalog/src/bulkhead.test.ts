/** No more work at once than allowed, no longer queue than allowed, and nothing is lost on the way. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as tick } from 'node:timers/promises';
import fc from 'fast-check';
import { Bulkhead } from './bulkhead.ts';

test('what does not fit waits, what does not fit in the queue is refused at once', async () => {
  const bulkhead = new Bulkhead({ running: 2, waiting: 1 });
  const gates = [1, 2, 3].map(() => Promise.withResolvers<string>());
  const begun: number[] = [];
  const works = gates.map((gate, i) =>
    bulkhead.run(() => {
      begun.push(i);
      return gate.promise;
    }),
  );
  await tick();
  assert.deepEqual(begun, [0, 1]);
  await assert.rejects(
    bulkhead.run(() => Promise.resolve('')),
    { code: 'try_again_later' },
  );
  gates[0]?.resolve('first');
  await works[0];
  await tick();
  assert.deepEqual(begun, [0, 1, 2]);
  gates[1]?.reject(new Error('broke'));
  gates[2]?.resolve('third');
  await assert.rejects(works[1] ?? Promise.resolve(), /broke/);
  assert.equal(await works[2], 'third');
  assert.equal(await bulkhead.run(() => Promise.resolve('free again')), 'free again');
});

test('whatever fails or lasts, the bound holds and every place comes back', async () => {
  const jobs = fc.array(fc.record({ ticks: fc.integer({ min: 0, max: 4 }), fails: fc.boolean() }), { maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(jobs, fc.integer({ min: 1, max: 5 }), async (all, running) => {
      const bulkhead = new Bulkhead({ running, waiting: 100 });
      let [now, most] = [0, 0];
      const results = await Promise.allSettled(
        all.map(({ ticks, fails }) =>
          bulkhead.run(async () => {
            most = Math.max(most, ++now);
            for (let i = 0; i < ticks; i++) await tick();
            now--;
            if (fails) throw new Error('broke');
          }),
        ),
      );
      assert.ok(most <= running);
      assert.deepEqual(
        results.map(({ status }) => status === 'rejected'),
        all.map(({ fails }) => fails),
      );
      assert.equal(await bulkhead.run(() => Promise.resolve(now)), 0);
    }),
  );
});
