/** What is published, and a Redis that loses it in all ways: cheap while nothing happens, whole again after one look. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { PublishedMark, PublishedSale } from '@flashsale/sale';
import { Registry } from './registry.ts';
import { newStatus } from './status.ts';

const NAMES = ['a', 'b', 'c'];
const saleOf = (name: string, epoch: number): PublishedSale =>
  ({ name, namespace: 'shop', epoch, phase: 'Open' }) as PublishedSale;
const nothing = (): Promise<void> => Promise.resolve();

/** The registry in Redis, as far as it counts here. */
class Redis {
  sales = new Map<string, PublishedSale>();
  version = 0;
  existence = true;
  reads = 0;
  away = false;

  readonly publish = (sale: PublishedSale): Promise<void> => this.#answer(() => void this.#bump().set(sale.name, sale));
  readonly unpublish = (name: string): Promise<void> => this.#answer(() => void this.#bump().delete(name));
  readonly published = (): Promise<PublishedSale[]> =>
    this.#answer(() => {
      this.reads += 1;
      return [...this.sales.values()];
    });
  readonly publishedMark = (): Promise<PublishedMark> =>
    this.#answer(() => ({ version: this.version, sales: this.sales.size, existence: this.existence }));

  copy() {
    return { sales: new Map(this.sales), version: this.version };
  }

  restore({ sales, version }: ReturnType<Redis['copy']>): void {
    this.sales = new Map(sales);
    this.version = version;
  }

  #bump(): Map<string, PublishedSale> {
    this.version += 1;
    return this.sales;
  }

  async #answer<T>(act: () => T): Promise<T> {
    await Promise.resolve();
    if (this.away) throw new Error('Redis is away');
    return act();
  }
}

function start() {
  const redis = new Redis();
  const world = { now: 0 };
  const kept: boolean[] = [];
  const notes: string[] = [];
  const ledger = { away: false };
  const registry = new Registry({
    store: redis,
    known: {
      keep: (lost) => {
        if (ledger.away) return Promise.reject(new Error('the ledger is away'));
        kept.push(lost === true);
        if (lost === true) redis.existence = true;
        return Promise.resolve();
      },
    },
    note: (_fields, message) => void notes.push(message),
    now: () => world.now,
  });
  const publish = (name: string, epoch: number): Promise<void> => {
    registry.owe(name, { ...newStatus, accepted: saleOf(name, epoch), epoch, phase: 'Open' });
    return registry.publish(saleOf(name, epoch), nothing);
  };
  return { redis, registry, world, kept, notes, ledger, publish };
}

test('what did not change is not published again, and what was not lost is not read again', async () => {
  const { redis, registry, world, publish } = start();
  for (const name of NAMES) await publish(name, 1);
  await registry.look();
  const { version, reads } = redis;
  for (const name of NAMES) await publish(name, 1);
  for (let look = 0; look < 50; look++) assert.deepEqual(await registry.look(), []);
  assert.deepEqual([redis.version, redis.reads], [version, reads]);
  world.now += 60_000;
  await registry.look();
  assert.equal(redis.reads, reads + 1, 'all of it once a minute');
});

test('each way to lose it is seen at the next look, and mended', async () => {
  const { redis, registry, kept, publish } = start();
  const settle = async (): Promise<void> => {
    for (const name of NAMES) await publish(name, 2);
    assert.deepEqual(await registry.look(), []);
    assert.deepEqual(redis.sales, new Map(NAMES.map((name) => [name, saleOf(name, 2)])));
  };
  await publish('a', 1);
  const old = redis.copy();
  await settle();
  // All of it, with the version.
  redis.restore({ sales: new Map(), version: 0 });
  assert.equal(await registry.look(), 'all');
  assert.deepEqual(new Set(redis.sales.keys()), new Set(NAMES), 'published again by what the statuses say');
  await settle();
  // An older state.
  redis.restore(old);
  assert.equal(await registry.look(), 'all');
  await settle();
  // One of them, where the version is on another node.
  redis.sales.delete('b');
  assert.deepEqual(await registry.look(), ['b']);
  await settle();
  // Another writer.
  await redis.publish(saleOf('c', 1));
  assert.deepEqual(await registry.look(), ['c']);
  await settle();
  redis.existence = false;
  await registry.look();
  assert.deepEqual([kept.at(-1), redis.existence], [true, true]);
});

test('after Redis was away every sale is due, and it is told once that it was', async () => {
  const { redis, registry, notes, publish } = start();
  await publish('a', 1);
  redis.away = true;
  for (let look = 0; look < 3; look++) assert.deepEqual(await registry.look(), []);
  assert.deepEqual(notes, ['what is published cannot be compared']);
  redis.away = false;
  assert.equal(await registry.look(), 'all');
  assert.deepEqual(await registry.look(), []);
});

test('a ledger that is away keeps nothing from coming back; the existence filter follows', async () => {
  const { redis, registry, notes, ledger, publish } = start();
  await publish('a', 1);
  await registry.look();
  ledger.away = true;
  redis.restore({ sales: new Map(), version: 0 });
  redis.existence = false;
  assert.equal(await registry.look(), 'all');
  await registry.look();
  assert.deepEqual([...redis.sales.keys()], ['a']);
  assert.deepEqual(notes, ['the existence filter cannot be written']);
  ledger.away = false;
  await registry.look();
  assert.equal(redis.existence, true);
});

test('what was removed or is no longer looked after does not come back', async () => {
  const { redis, registry, publish } = start();
  for (const name of NAMES) await publish(name, 1);
  await registry.unpublish('a');
  registry.forget('b');
  redis.restore({ sales: new Map(), version: 0 });
  await registry.look();
  assert.deepEqual([...redis.sales.keys()], ['c']);
});

test('who restores while another restores waits for a reading of his own, and many share it', async () => {
  const { redis, registry, publish } = start();
  for (const name of NAMES) await publish(name, 1);
  const first = registry.restore();
  // The first has read: what is lost now it cannot see.
  await new Promise(setImmediate);
  await first;
  const before = redis.reads;
  const running = registry.restore();
  await Promise.resolve();
  redis.restore({ sales: new Map(), version: 0 });
  await Promise.all([running, ...Array.from({ length: 20 }, () => registry.restore())]);
  assert.deepEqual(new Set(redis.sales.keys()), new Set(NAMES));
  assert.ok(redis.reads - before <= 2, `${redis.reads - before} readings`);
});

interface Ordered extends ReturnType<typeof start> {
  /** The epoch in which each was last to be published. */
  readonly wanted: Map<string, number>;
  /** Those that are due: their passes have failed, or a look has named them. */
  readonly failed: Set<string>;
  saved: ReturnType<Redis['copy']>;
}

const ACTS: Readonly<Record<string, (state: Ordered) => unknown>> = {
  save: (state) => (state.saved = state.redis.copy()),
  restore: ({ redis, saved }) => redis.restore(saved),
  flush: ({ redis }) => redis.restore({ sales: new Map(), version: 0 }),
  away: ({ redis }) => (redis.away = true),
  back: ({ redis }) => (redis.away = false),
  look: async ({ registry, wanted, failed }) => {
    const lost = await registry.look();
    for (const name of lost === 'all' ? wanted.keys() : lost) failed.add(name);
  },
};

async function publishIn({ publish, wanted, failed }: Ordered, name: string, epoch: number): Promise<void> {
  wanted.set(name, epoch);
  await publish(name, epoch).then(
    () => failed.delete(name),
    () => failed.add(name),
  );
}

/** The runner passes those that are named, and a pass publishes. */
async function comeToRest({ redis, registry, world, publish, wanted, failed }: Ordered): Promise<void> {
  redis.away = false;
  // An older state may look the same from afar, where it was counted up to the same version: everything is read then.
  world.now += 60_000;
  const pass = (name: string): Promise<void> => publish(name, wanted.get(name) ?? 0);
  for (const name of failed) await pass(name);
  for (let round = 0; round < 3; round++) {
    const lost = await registry.look();
    for (const name of lost === 'all' ? wanted.keys() : lost) await pass(name);
  }
}

test('in any order of publishing, losing and looking, Redis has what was published once it is quiet', async () => {
  const publishing = fc.record({ name: fc.constantFrom(...NAMES), epoch: fc.integer({ min: 1, max: 3 }) });
  const steps = fc.array(fc.oneof(publishing, fc.constantFrom(...Object.keys(ACTS))), { maxLength: 40 });
  const property = fc.asyncProperty(steps, async (list) => {
    const started = start();
    const state: Ordered = { ...started, wanted: new Map(), failed: new Set(), saved: started.redis.copy() };
    for (const step of list) {
      if (typeof step === 'string') await ACTS[step]?.(state);
      else await publishIn(state, step.name, step.epoch);
    }
    await comeToRest(state);
    for (const [name, epoch] of state.wanted) assert.equal(state.redis.sales.get(name)?.epoch, epoch, name);
  });
  await fc.assert(property, { numRuns: 300 });
});
