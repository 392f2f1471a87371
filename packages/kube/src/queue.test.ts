/** The queue against a model: never a key twice at a time, nothing lost, first come first served. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { register } from '@flashsale/platform/metrics';
import { WorkQueue } from './queue.ts';
import { World } from './world.fixture.ts';

const op = fc.oneof(
  fc.record({ do: fc.constant('add' as const), key: fc.integer({ min: 0, max: 4 }) }),
  fc.record({ do: fc.constant('later' as const), key: fc.integer({ min: 0, max: 4 }), ms: fc.nat(50) }),
  fc.record({ do: fc.constant('fail' as const), key: fc.integer({ min: 0, max: 4 }) }),
  fc.record({ do: fc.constant('take' as const) }),
  fc.record({ do: fc.constant('done' as const), nth: fc.nat(5) }),
  fc.record({ do: fc.constant('pass' as const), ms: fc.nat(60) }),
);
type Op = typeof op extends fc.Arbitrary<infer T> ? T : never;

/** What must be true, kept beside the queue. */
class Model {
  readonly world = new World();
  readonly queue = new WorkQueue({ name: 'model', clock: this.world.clock() });
  /** Keys that were added and not taken since. */
  readonly owed: string[] = [];
  readonly working: string[] = [];
  readonly taken: string[] = [];

  async run(step: Op): Promise<void> {
    if (step.do === 'add') this.#add(String(step.key));
    if (step.do === 'later') this.#later(String(step.key), step.ms);
    if (step.do === 'fail') this.queue.addRateLimited(String(step.key));
    if (step.do === 'take' && this.queue.size > 0) await this.take();
    if (step.do === 'done') this.#done(step.nth);
    if (step.do === 'pass') await this.world.run(step.ms);
  }

  #add(key: string): void {
    this.queue.add(key);
    if (!this.owed.includes(key)) this.owed.push(key);
  }

  #later(key: string, ms: number): void {
    this.queue.addAfter(key, ms);
    if (ms === 0 && !this.owed.includes(key)) this.owed.push(key);
  }

  async take(): Promise<void> {
    const key = await this.queue.take();
    assert.ok(key !== undefined);
    assert.ok(!this.working.includes(key), `${key} is worked on already`);
    this.working.push(key);
    this.taken.push(key);
    const at = this.owed.indexOf(key);
    if (at >= 0) this.owed.splice(at, 1);
  }

  #done(nth: number): void {
    const [key] = this.working.splice(nth % Math.max(1, this.working.length), 1);
    if (key !== undefined) this.queue.done(key);
  }

  /** Works on all that there is. */
  async finish(): Promise<void> {
    await this.world.run(2_000_000);
    while (this.working.length + this.queue.size > 0) {
      while (this.queue.size > 0) await this.take();
      this.#done(0);
    }
  }
}

test('whatever is done to it, no key is worked on twice at a time and none is lost', async () => {
  const steps = fc.array(op, { maxLength: 80 });
  await fc.assert(
    fc.asyncProperty(steps, async (list) => {
      const model = new Model();
      for (const step of list) await model.run(step);
      await model.finish();
      assert.deepEqual(model.owed, []);
      const asked = new Set(list.flatMap((step) => ('key' in step ? [String(step.key)] : [])));
      assert.deepEqual(new Set(model.taken), asked);
    }),
    { numRuns: 300 },
  );
});

test('keys are handed out in the order in which they were added', async () => {
  const keys = fc.array(fc.string({ minLength: 1, maxLength: 2 }), { maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(keys, async (list) => {
      const queue = new WorkQueue({ name: 'fair', clock: new World().clock() });
      for (const key of list) queue.add(key);
      const order = await Promise.all(Array.from({ length: queue.size }, () => queue.take()));
      assert.deepEqual(order, [...new Set(list)]);
    }),
  );
});

test('a key that was added during its work comes once more, after those that waited', async () => {
  const queue = new WorkQueue({ name: 'again', clock: new World().clock() });
  queue.add('a');
  assert.equal(await queue.take(), 'a');
  queue.add('a');
  queue.add('b');
  queue.add('a');
  assert.equal(queue.size, 1);
  queue.done('a');
  assert.deepEqual([await queue.take(), await queue.take()], ['b', 'a']);
  queue.done('a');
  queue.done('b');
  assert.equal(queue.size, 0);
});

test('failures of a key put it off further and further; forget begins anew; the bucket slows all down', async () => {
  const world = new World();
  const clock = world.clock();
  const queue = new WorkQueue({ name: 'slow', clock, bucket: { perSecond: 10, burst: 4 } });
  const delay = async (key: string): Promise<number> => {
    const from = clock.now();
    queue.addRateLimited(key);
    const taken = queue.take();
    while (queue.size === 0 && !(await settled(taken))) await world.run(1);
    queue.done((await taken) ?? '');
    return clock.now() - from;
  };
  assert.deepEqual([await delay('a'), await delay('a'), await delay('a')], [5, 10, 20]);
  assert.equal(queue.failures('a'), 3);
  queue.forget('a');
  assert.equal(await delay('a'), 5);
  // Four tokens are spent, a tenth of a second brings one back; 40 ms have brought 0.4.
  assert.ok((await delay('b')) >= 60);
});

test('addAfter keeps the earlier of two times, and waits for months without overflowing', async () => {
  const world = new World();
  const queue = new WorkQueue({ name: 'later', clock: world.clock() });
  queue.addAfter('a', 60 * 86_400_000);
  queue.addAfter('a', 100);
  queue.addAfter('a', 200);
  await world.run(99);
  assert.equal(queue.size, 0);
  await world.run(1);
  assert.equal(queue.size, 1);
  const real = new WorkQueue({ name: 'months' });
  real.addAfter('a', 60 * 86_400_000);
  await new Promise((done) => setTimeout(done, 20));
  assert.equal(real.size, 0);
  await real.shutdown({ drain: false });
});

test('a shutdown with drain hands out what waits, one without drops it; both wait for the work under way', async () => {
  for (const drain of [true, false]) {
    const queue = new WorkQueue({ name: 'end', clock: new World().clock() });
    queue.add('a');
    queue.add('b');
    assert.equal(await queue.take(), 'a');
    const ended = queue.shutdown({ drain });
    queue.add('c');
    assert.equal(await settled(ended), false);
    if (drain) {
      assert.equal(await queue.take(), 'b');
      queue.done('b');
    }
    assert.equal(await settled(ended), false);
    queue.done('a');
    await ended;
    assert.equal(await queue.take(), undefined);
  }
});

test('takers that wait are let go at the shutdown', async () => {
  const queue = new WorkQueue({ name: 'waiters', clock: new World().clock() });
  const taken = queue.take();
  await queue.shutdown({ drain: true });
  assert.equal(await taken, undefined);
});

test('metrics have the names and the meaning that client-go gives them', async () => {
  const world = new World();
  const queue = new WorkQueue({ name: 'seen', clock: world.clock() });
  queue.add('a');
  queue.add('a');
  queue.add('b');
  await world.run(2000);
  await queue.take();
  await world.run(3000);
  queue.addRateLimited('c');
  const text = await register.metrics();
  const value = (metric: string): string | undefined =>
    new RegExp(`^${metric}{name="seen"} (.*)$`, 'm').exec(text)?.[1];
  assert.equal(value('workqueue_adds_total'), '2');
  assert.equal(value('workqueue_depth'), '1');
  assert.equal(value('workqueue_queue_duration_seconds_sum'), '2');
  assert.equal(value('workqueue_unfinished_work_seconds'), '3');
  assert.equal(value('workqueue_longest_running_processor_seconds'), '3');
  assert.equal(value('workqueue_retries_total'), '1');
  queue.done('a');
  const after = await register.metrics();
  assert.match(after, /workqueue_work_duration_seconds_sum{name="seen"} 3/);
});

async function settled(work: Promise<unknown>): Promise<boolean> {
  const pending = Symbol('pending');
  await Promise.resolve();
  await Promise.resolve();
  return (await Promise.race([work, Promise.resolve(pending)])) !== pending;
}
