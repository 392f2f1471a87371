/** Workers: one key's trouble is its own, retries and deadlines, a calm end. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { register } from '@flashsale/platform/metrics';
import { ApiError } from './api-error.ts';
import { Controller, TerminalError, type Reconcile } from './controller.ts';
import { silent, World } from './world.fixture.ts';

interface Bench {
  readonly world: World;
  readonly controller: Controller;
  readonly seen: string[];
}

async function bench(name: string, reconcile: Reconcile, workers = 1, deadlineMs = 60_000): Promise<Bench> {
  const world = new World();
  const seen: string[] = [];
  const controller = new Controller({
    name,
    workers,
    deadlineMs,
    log: silent,
    clock: world.clock(),
    reconcile: (key, signal) => {
      seen.push(key);
      return reconcile(key, signal);
    },
  });
  await controller.start();
  return { world, controller, seen };
}

async function metric(name: string, labels: string): Promise<number> {
  const line = new RegExp(`^${name}{${labels}} (.*)$`, 'm').exec(await register.metrics());
  return Number(line?.[1] ?? 0);
}

test('what throws is retried, what throws at once too, what is terminal is not; the others go on', async () => {
  const { world, controller, seen } = await bench('mixed', (key) => {
    if (key === 'thrower') throw new TypeError('at once, not as a promise');
    if (key === 'rejecter') return Promise.reject(new Error('later'));
    if (key === 'terminal') return Promise.reject(new TerminalError('the spec is wrong'));
    return Promise.resolve(undefined);
  });
  for (const key of ['thrower', 'terminal', 'rejecter', 'good']) controller.queue.add(key);
  await world.run(16);
  const times = (key: string): number => seen.filter((one) => one === key).length;
  assert.deepEqual(['thrower', 'rejecter', 'terminal', 'good'].map(times), [3, 3, 1, 1]);
  assert.equal(await metric('controller_runtime_reconcile_total', 'controller="mixed",result="error"'), 7);
  assert.equal(await metric('controller_runtime_reconcile_total', 'controller="mixed",result="success"'), 1);
  assert.equal(await metric('controller_runtime_reconcile_errors_total', 'controller="mixed"'), 7);
  assert.equal(await metric('controller_runtime_terminal_reconcile_errors_total', 'controller="mixed"'), 1);
  assert.equal(await metric('controller_runtime_reconcile_time_seconds_count', 'controller="mixed"'), 8);
  await controller.stop();
});

test('a server that asks to wait is not asked before', async () => {
  const { world, controller, seen } = await bench('busy', () =>
    Promise.reject(new ApiError('write', { code: 429 }, 2000)),
  );
  controller.queue.add('key');
  await world.run(1999);
  assert.equal(seen.length, 1);
  await world.run(1001);
  assert.equal(seen.length, 2);
  await controller.stop();
});

test('a key comes again when its reconcile asks for it, and its failures are forgotten', async () => {
  let failing = true;
  const { world, controller, seen } = await bench('again', () => {
    if (failing) return Promise.reject(new Error('not yet'));
    return Promise.resolve({ requeueAfterMs: 1000 });
  });
  controller.queue.add('a');
  await world.run(20);
  assert.ok(controller.queue.failures('a') > 1);
  failing = false;
  await world.run(2500);
  assert.equal(controller.queue.failures('a'), 0);
  const before = seen.length;
  await world.run(2000);
  assert.equal(seen.length - before, 2);
  assert.ok((await metric('controller_runtime_reconcile_total', 'controller="again",result="requeue_after"')) >= 4);
  await controller.stop();
});

test('as many at a time as there are workers, and never one key twice', async () => {
  const running = new Set<string>();
  let most = 0;
  const gates = new Map<string, () => void>();
  const { world, controller } = await bench(
    'many',
    async (key) => {
      assert.ok(!running.has(key));
      running.add(key);
      most = Math.max(most, running.size);
      await new Promise<void>((open) => gates.set(key, open));
      running.delete(key);
      return undefined;
    },
    3,
  );
  for (let i = 0; i < 5; i += 1) controller.queue.add(`k${i}`);
  controller.queue.add('k0');
  await world.run(1);
  assert.equal(running.size, 3);
  assert.equal(await metric('controller_runtime_active_workers', 'controller="many"'), 3);
  assert.equal(await metric('controller_runtime_max_concurrent_reconciles', 'controller="many"'), 3);
  controller.queue.add('k0');
  for (let round = 0; round < 3; round += 1) {
    for (const key of running) gates.get(key)?.();
    await world.run(1);
  }
  assert.equal(running.size, 0);
  assert.equal(most, 3);
  assert.equal(controller.queue.size, 0);
  await controller.stop();
});

test('at the deadline the signal aborts; the key is free again only when its work has really ended', async () => {
  let end = (): void => undefined;
  let aborted = false;
  const { world, controller, seen } = await bench(
    'late',
    async (_key, signal) => {
      signal.addEventListener('abort', () => (aborted = true));
      await new Promise<void>((done) => (end = done));
      signal.throwIfAborted();
      return undefined;
    },
    2,
    1000,
  );
  controller.queue.add('a');
  await world.run(999);
  assert.equal(aborted, false);
  await world.run(1);
  assert.equal(aborted, true);
  controller.queue.add('a');
  await world.run(10_000);
  assert.equal(seen.length, 1);
  end();
  await world.run(1);
  assert.equal(seen.length, 2);
  end();
  await controller.stop();
});

test('a drain finishes what is under way and leaves the rest; a stop aborts it', async () => {
  const { world, controller, seen } = await bench('end', async (_key, signal) => {
    await new Promise((done) => signal.addEventListener('abort', done));
    return undefined;
  });
  controller.queue.add('a');
  controller.queue.add('b');
  await world.run(1);
  let drained = false;
  const draining = controller.drain().then(() => (drained = true));
  await world.run(1);
  assert.equal(drained, false);
  await controller.stop();
  await draining;
  assert.deepEqual(seen, ['a']);
});
