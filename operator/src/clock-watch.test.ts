/** The operator's clock against others and against itself. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { register } from '@flashsale/platform/metrics';
import { ClockWatch } from './clock-watch.ts';

class Clocks {
  now = 50_000;
  ahead = 1_000_000;
  readonly wall = (): number => this.now + this.ahead;
  readonly steady = (): number => this.now;
  /** Another clock, `offset` ahead of ours, that takes `ms` to answer. */
  readonly other =
    (offset: number, ms = 0) =>
    (): Promise<number> => {
      this.now += ms / 2;
      const at = this.wall() + offset;
      this.now += ms / 2;
      return Promise.resolve(at);
    };
}

test('a difference above 2 s is said while it lasts, by source, and its time is handed on', async () => {
  const clocks = new Clocks();
  const watch = new ClockWatch(clocks);
  assert.equal(await watch.read('redis', clocks.other(2_000, 900)), clocks.wall() + 2_000 - 450);
  assert.deepEqual(watch.words(), []);
  await watch.read('redis', clocks.other(2_001));
  await watch.read('kubernetes', clocks.other(-3_000, 400));
  assert.deepEqual(watch.words(), [
    "the operator's clock differs from that of Redis by more than 2 s",
    "the operator's clock differs from that of the API server by more than 2 s",
  ]);
  assert.match(await register.metrics(), /flashsale_clock_offset_seconds\{source="kubernetes"\} -3\n/);
  await watch.read('kubernetes', clocks.other(90_000, 1_001));
  assert.equal(watch.words().length, 2, 'too slow to mean anything');
  await watch.read('redis', clocks.other(0));
  await watch.read('kubernetes', clocks.other(0));
  assert.deepEqual(watch.words(), []);
});

test('a jump is counted once; a clock that is slewed is none; what the other clock throws is thrown', async () => {
  const jumps = async (): Promise<string | undefined> =>
    /flashsale_clock_jumps_total (\d+)/.exec(await register.metrics())?.[1];
  const clocks = new Clocks();
  const watch = new ClockWatch(clocks);
  for (let step = 0; step < 5; step++) {
    clocks.ahead += 1_500;
    await watch.read('redis', clocks.other(0));
  }
  assert.equal(await jumps(), '0');
  clocks.ahead -= 2_500;
  await watch.read('redis', clocks.other(0));
  await watch.read('redis', clocks.other(0));
  assert.equal(await jumps(), '1');
  await assert.rejects(
    watch.read('redis', () => Promise.reject(new Error('away'))),
    /away/,
  );
});
