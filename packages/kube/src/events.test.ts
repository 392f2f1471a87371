/** Events: repetitions are counted, similar ones combined, talkative objects slowed down, memory bounded. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { register } from '@flashsale/platform/metrics';
import { EventRecorder, type EventObject, type Happening } from './events.ts';
import type { KubeObject } from './object.ts';
import { silent, World } from './world.fixture.ts';

const opened: Happening = { type: 'Normal', reason: 'Opened', action: 'Open', note: 'the gate is open' };
const thing = (name: string): KubeObject => ({
  apiVersion: 'flashsale.dev/v1',
  kind: 'FlashSale',
  metadata: { name, namespace: 'n', uid: name },
});

function bench(fails = 0) {
  const world = new World(Math.random);
  const created: EventObject[] = [];
  const counts: number[] = [];
  let left = fails;
  const recorder = new EventRecorder({
    controller: 'flashsale.dev/operator',
    instance: 'one',
    log: silent,
    clock: world.clock(),
    api: {
      create: (event) => {
        if (left > 0) return Promise.reject(new Error(`fails ${(left -= 1)} more times`));
        return Promise.resolve(created.push(event));
      },
      mergePatch: (_name, patch) => Promise.resolve(counts.push((patch as { series: { count: number } }).series.count)),
    },
  });
  return { world, recorder, created, counts };
}

const discarded = async (reason: string): Promise<number> =>
  Number(new RegExp(`kube_events_discarded_total{reason="${reason}"} (.*)`).exec(await register.metrics())?.[1] ?? 0);

test('the same again is one event with a count, and a new one after six quiet minutes', async () => {
  const { world, recorder, created, counts } = bench();
  for (let i = 0; i < 5; i += 1) {
    recorder.emit(thing('a'), opened);
    await world.run(1000);
  }
  assert.equal(created.length, 1);
  assert.deepEqual(counts, [2, 3, 4, 5]);
  await world.run(6 * 60_000);
  recorder.emit(thing('a'), opened);
  recorder.emit(thing('b'), opened);
  await world.run(1);
  assert.equal(created.length, 3);
  assert.equal(new Set(created.map(({ metadata }) => metadata.name)).size, 3);
  await recorder.stop();
});

test('a burst of the same is written twice: as it began, and with its count', async () => {
  const { world, recorder, created, counts } = bench();
  for (let i = 0; i < 20; i += 1) recorder.emit(thing('a'), opened);
  await world.run(1);
  assert.equal(created.length, 1);
  assert.equal(counts.at(-1), 20);
  assert.ok(counts.length <= 2);
});

test('after ten notes of one reason the others are combined', async () => {
  const { world, recorder, created } = bench();
  for (let i = 0; i < 15; i += 1) recorder.emit(thing('a'), { ...opened, note: `number ${i}` });
  await world.run(1);
  assert.equal(created.length, 11);
  assert.equal(created.at(-1)?.['note'], '(combined from similar events)');
});

test('an object that keeps telling is slowed down, and the others are heard', async () => {
  const { world, recorder, created } = bench();
  const before = await discarded('rate');
  for (let i = 0; i < 40; i += 1) recorder.emit(thing('loud'), { ...opened, reason: `R${i}` });
  recorder.emit(thing('calm'), opened);
  await world.run(1);
  assert.equal(created.length, 26);
  assert.equal((await discarded('rate')) - before, 15);
  await world.run(300_000);
  recorder.emit(thing('loud'), opened);
  await world.run(1);
  assert.equal(created.length, 27);
});

test('what could not be written is tried again, then given up; too many that wait are dropped', async () => {
  const retried = bench(2);
  retried.recorder.emit(thing('a'), opened);
  await retried.world.run(10_000);
  assert.equal(retried.created.length, 1);
  const lost = bench(Number.MAX_SAFE_INTEGER);
  const [failed, full] = [await discarded('failed'), await discarded('full')];
  for (let i = 0; i < 1100; i += 1) lost.recorder.emit(thing(`t${i}`), opened);
  await lost.world.run(10_000);
  // One is being written, a thousand wait.
  assert.equal((await discarded('full')) - full, 99);
  assert.ok((await discarded('failed')) > failed);
  await lost.recorder.stop();
  lost.recorder.emit(thing('after'), opened);
  assert.equal(lost.created.length, 0);
});
