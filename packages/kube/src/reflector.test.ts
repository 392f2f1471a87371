/** The reflector in simulated time, against a server and a network that do all they can: its store comes out true. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ApiWorld, type ApiFaults } from './api-world.fixture.ts';
import type { KubeObject } from './object.ts';
import { generator } from './random.fixture.ts';
import { Reflector } from './reflector.ts';
import { silent, World } from './world.fixture.ts';

const CALM: ApiFaults = { refuse: 0, cut: 0, twice: 0, late: 0 };

/** What handlers heard, put together: what a user of the reflector believes. */
class Believed {
  readonly objects = new Map<string, string>();

  follow(reflector: Reflector<KubeObject>): void {
    const id = ({ metadata }: KubeObject): string => `${metadata.uid ?? ''} ${metadata.resourceVersion ?? ''}`;
    reflector.subscribe({
      added: (object) => {
        assert.ok(!this.objects.has(object.metadata.name), 'added what was there');
        this.objects.set(object.metadata.name, id(object));
      },
      modified: (object, old) => {
        assert.equal(this.objects.get(object.metadata.name), id(old), 'the old state is the one told before');
        this.objects.set(object.metadata.name, id(object));
      },
      deleted: (object) => assert.ok(this.objects.delete(object.metadata.name), 'deleted what was not there'),
    });
  }
}

function bench(seed: number, faults: ApiFaults) {
  const random = generator(seed);
  const world = new World(random);
  const api = new ApiWorld(world, random, { ...faults });
  const errors: unknown[] = [];
  const log = {
    ...silent,
    error: (fields: object) => errors.push(...('reflector' in fields && 'err' in fields ? [fields] : [])),
  };
  const reflector = new Reflector<KubeObject>({ name: `sim-${seed}`, source: api, log, clock: world.clock() });
  const believed = new Believed();
  believed.follow(reflector);
  return { random, world, api, reflector, believed, errors };
}

function assertTrue(api: ApiWorld, reflector: Reflector<KubeObject>, believed: Believed): void {
  const versions = (objects: Iterable<KubeObject>): string[] =>
    [...objects]
      .map(({ metadata }) => `${metadata.name} ${metadata.uid ?? ''} ${metadata.resourceVersion ?? ''}`)
      .sort();
  assert.deepEqual(versions(reflector.store.values()), versions(api.objects.values()));
  assert.deepEqual([...believed.objects].map(([name, id]) => `${name} ${id}`).sort(), versions(api.objects.values()));
}

const chance = (max: number) => fc.double({ min: 0, max, noNaN: true });
const faults = fc.record({ refuse: chance(0.6), cut: chance(0.5), twice: chance(0.5), late: chance(0.3) });

test('whatever went wrong, the store and what handlers were told are the truth again', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer(), faults, async (seed, wrong) => {
      const { random, world, api, reflector, believed, errors } = bench(seed, wrong);
      await reflector.start();
      for (let i = 0; i < 60; i += 1) {
        api.act(`o${Math.floor(random() * 6)}`, random() < 0.4);
        if (random() < 0.05) api.compact();
        await world.run(random() * 4000);
      }
      Object.assign(api.faults, CALM);
      // A lost event out of order is found by the periodic list, and the comparison waits for a bookmark.
      await world.run(wrong.late > 0 ? 36 * 60_000 : 200_000);
      assertTrue(api, reflector, believed);
      assert.deepEqual(errors, [], 'no handler found the story inconsistent');
      const stopped = reflector.stop();
      await world.run(1000);
      await stopped;
    }),
    { numRuns: 40 },
  );
});

test('a quiet server is listed at the start and each half hour, no more', async () => {
  const { world, api, reflector, believed } = bench(1, CALM);
  api.act('a', false);
  await reflector.start();
  await world.run(60 * 60_000);
  assertTrue(api, reflector, believed);
  assert.ok(api.lists >= 2 && api.lists <= 4, `${api.lists} lists`);
  const stopped = reflector.stop();
  await world.run(1000);
  await stopped;
});

test('a server that came back from a backup, with older versions, is listed anew', async () => {
  const { world, api, reflector, believed } = bench(2, CALM);
  for (const name of ['a', 'b', 'c']) api.act(name, false);
  await reflector.start();
  await world.run(1000);
  api.restore(['a']);
  await world.run(40 * 60_000);
  assertTrue(api, reflector, believed);
  api.act('new', false);
  await world.run(1000);
  assertTrue(api, reflector, believed);
  const stopped = reflector.stop();
  await world.run(1000);
  await stopped;
});

test('who sees that the server went back in time has it listed anew at once', async () => {
  const { world, api, reflector, believed } = bench(3, CALM);
  for (const name of ['a', 'b', 'c']) api.act(name, false);
  await reflector.start();
  await world.run(1000);
  api.restore(['a']);
  await world.run(5000);
  assert.equal(reflector.store.size, 3, 'the watch alone hears nothing of it');
  reflector.restart();
  await world.run(1000);
  assertTrue(api, reflector, believed);
  api.act('new', false);
  await world.run(1000);
  assertTrue(api, reflector, believed);
  const stopped = reflector.stop();
  await world.run(1000);
  await stopped;
});
