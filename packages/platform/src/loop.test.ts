/** Background loops: pace, kicks, backoff, drain. Time is mocked. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { createLogger } from './log.ts';
import { loop } from './loop.ts';

const log = createLogger('test', 'silent');
const settle = (): Promise<void> => new Promise(setImmediate);

beforeEach(() => {
  mock.timers.enable({ apis: ['setTimeout'] });
});
afterEach(() => {
  mock.timers.reset();
});

/** Lets `ms` pass and what became due run. */
async function pass(ms: number): Promise<void> {
  mock.timers.tick(ms);
  await settle();
}

test('runs at once and then at its pace', async () => {
  let steps = 0;
  const part = loop('l', log, 1_000, () => {
    steps += 1;
    return Promise.resolve();
  });
  await part.start?.();
  await settle();
  assert.equal(steps, 1);
  await pass(899);
  assert.equal(steps, 1);
  await pass(202);
  assert.equal(steps, 2);
  await part.drain?.();
  await pass(5_000);
  assert.equal(steps, 2);
});

test('never overlaps itself; kicks during a step are one more step after it', async () => {
  const gates: (() => void)[] = [];
  const part = loop('l', log, 60_000, () => {
    return new Promise<void>((resolve) => gates.push(resolve));
  });
  await part.start?.();
  part.kick();
  part.kick();
  await pass(60_000);
  assert.equal(gates.length, 1);
  gates[0]?.();
  await settle();
  await pass(1);
  assert.equal(gates.length, 2);
  gates[1]?.();
  await settle();
  await pass(1_000);
  assert.equal(gates.length, 2);
  await part.drain?.();
});

test('a kick of an idle loop runs it soon; before the start it does nothing', async () => {
  let steps = 0;
  const part = loop('l', log, 60_000, () => {
    steps += 1;
    return Promise.resolve();
  });
  part.kick();
  await pass(10);
  assert.equal(steps, 0);
  await part.start?.();
  await settle();
  part.kick();
  await pass(1);
  assert.equal(steps, 2);
  await part.drain?.();
});

test('backs off while it fails, kicked or not, and recovers', async () => {
  let steps = 0;
  let broken = true;
  const part = loop('l', log, 100, () => {
    steps += 1;
    return broken ? Promise.reject(new Error('down')) : Promise.resolve();
  });
  await part.start?.();
  await settle();
  for (let second = 0; second < 60; second++) {
    part.kick();
    await pass(1_000);
  }
  // At its pace it would be 600 steps; doubling from 50-100 ms to 15-30 s it is 9 to 14.
  assert.ok(steps >= 9 && steps <= 14, `${steps} steps in a minute`);
  broken = false;
  await pass(30_000);
  const before = steps;
  await pass(111);
  assert.equal(steps, before + 1);
  await part.drain?.();
});

test('the drain aborts the signal, waits for the step under way and begins no other', async () => {
  let finish = (): void => undefined;
  let seen: AbortSignal | undefined;
  let steps = 0;
  const part = loop('l', log, 10, (signal) => {
    steps += 1;
    seen = signal;
    return new Promise<void>((resolve) => (finish = resolve));
  });
  await part.start?.();
  let drained = false;
  const drain = part.drain?.().then(() => (drained = true));
  await settle();
  assert.equal(seen?.aborted, true);
  assert.equal(drained, false);
  part.kick();
  finish();
  await drain;
  await pass(1_000);
  assert.equal(steps, 1);
});
