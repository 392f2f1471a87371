/** The runner in simulated time: what only waits is left alone until its clock asks, and what happens to it wakes it at once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { World } from '@flashsale/kube/world.fixture';
import type { PublishedSale } from '@flashsale/sale';
import { document } from './api/documents.fixture.ts';
import { ClockWatch } from './clock-watch.ts';
import { Demands } from './demands.ts';
import { longestRest } from './pace.ts';
import { keyOf, type ResourceName, type SaleResource, type SaleResources } from './resources.ts';
import { createRunner } from './runner.ts';
import type { OperatorDeps } from './scope.ts';

const MINUTE_MS = 60_000;
const LEAD_MS = 10 * MINUTE_MS;
const LOOK_MS = 500;
const START = Date.UTC(2026, 0);

interface Pass {
  readonly key: string;
  /** Since the start, ms. */
  readonly at: number;
}

/** An operator over resources in memory, a Redis that has no stock, and a ledger that answers nothing of a warm-up. */
class Bench {
  readonly world = new World();
  readonly passes: Pass[] = [];
  readonly documents = new Map<string, SaleResource>();
  lists = 0;
  /** How far Redis TIME is ahead of ours. */
  shift = 0;
  published = new Map<string, PublishedSale>();
  version = 0;
  broken: string | undefined;
  /** What happens once the list was read and before it is handed over. */
  whileListing: () => void = () => undefined;
  #changed: (name: ResourceName) => void = () => undefined;
  readonly runner;

  constructor() {
    const clock = this.world.clock();
    this.runner = createRunner({
      resources: this.#resources(),
      store: {
        time: () => Promise.resolve(START + this.world.now + this.shift),
        inspect: () => Promise.resolve(undefined),
        published: () => Promise.resolve([...this.published.values()]),
        publishedMark: () => Promise.resolve({ version: this.version, sales: this.published.size, existence: true }),
        publish: (sale: PublishedSale) => {
          this.version += 1;
          this.published.set(sale.name, sale);
          return Promise.resolve();
        },
      },
      signals: { broadcast: () => Promise.resolve() },
      ledger: {
        entries: () => nothing(),
        totals: () => Promise.reject(new Error('no warm-up here')),
      },
      demands: new Demands(),
      known: { add: () => false, keep: () => Promise.resolve() },
      clock: new ClockWatch({ wall: () => START + this.world.now, steady: () => this.world.now }),
      timers: clock,
      stopping: new AbortController().signal,
      note: () => undefined,
    } as unknown as OperatorDeps);
  }

  async start(): Promise<void> {
    await this.runner.start();
    const look = (): void => {
      void this.runner.look().then(() => this.world.after(LOOK_MS, look));
    };
    look();
    await this.world.run(0);
  }

  apply(name: string, opensAt: number, namespace = 'shop'): void {
    const spec = {
      opensAt: new Date(START + opensAt).toISOString(),
      closesAt: new Date(START + opensAt + 30 * MINUTE_MS).toISOString(),
      warm: { leadTime: '10m' },
    };
    const text = JSON.stringify(document(spec, namespace, name));
    const key = keyOf({ namespace, name });
    const status = this.documents.get(key)?.status;
    this.documents.set(key, { namespace, name, text, status, deleting: false });
    this.#changed({ namespace, name });
  }

  take(name: string, namespace = 'shop'): void {
    this.documents.delete(keyOf({ namespace, name }));
    this.#changed({ namespace, name });
  }

  /** When each pass of a sale was, since the last call. */
  times(name: string, namespace = 'shop'): number[] {
    const key = keyOf({ namespace, name });
    const own = this.passes.filter((pass) => pass.key === key).map(({ at }) => at);
    this.passes.splice(0);
    return own;
  }

  #resources(): SaleResources {
    this.#changed = (changed) => this.runner.wake(changed);
    return {
      list: () => {
        this.lists += 1;
        const found = [...this.documents.values()];
        this.whileListing();
        return Promise.resolve(found);
      },
      get: (name) => {
        this.passes.push({ key: keyOf(name), at: this.world.now });
        return Promise.resolve(this.documents.get(keyOf(name)));
      },
      watch: () => () => undefined,
      claim: ({ name }) => (name === this.broken ? Promise.reject(new Error('broken')) : Promise.resolve()),
      writeStatus: (resource, status) => {
        const known = this.documents.get(keyOf(resource));
        if (known) this.documents.set(keyOf(resource), { ...known, status });
        return Promise.resolve();
      },
      remove: () => Promise.resolve(),
    };
  }
}

// eslint-disable-next-line @typescript-eslint/require-await
async function* nothing(): AsyncGenerator<never> {
  yield* [];
}

test('a sale that waits is looked at once in some minutes, then at the very start of its lead time; nothing is listed', async () => {
  const bench = new Bench();
  const opensAt = 40 * MINUTE_MS;
  bench.apply('far', opensAt);
  await bench.start();
  assert.deepEqual(bench.times('far'), [0]);
  await bench.world.run(opensAt - LEAD_MS - 1);
  const waiting = bench.times('far');
  assert.ok(waiting.length >= 5 && waiting.length <= 8, waiting.join());
  assert.ok(waiting.every((at, n) => at - (waiting[n - 1] ?? 0) <= longestRest(0)));
  await bench.world.run(1);
  assert.equal(bench.times('far')[0], opensAt - LEAD_MS);
  assert.equal(bench.documents.get('shop/far')?.status?.phase, 'Warming');
  assert.equal(bench.lists, 1);
});

test('an edit wakes its own sale at once, a new one is passed at once, one that is gone is forgotten', async () => {
  const bench = new Bench();
  bench.apply('one', 100 * MINUTE_MS);
  bench.apply('two', 100 * MINUTE_MS);
  await bench.start();
  await bench.world.run(MINUTE_MS);
  bench.passes.splice(0);
  bench.apply('one', 20 * MINUTE_MS);
  await bench.world.run(0);
  assert.deepEqual(bench.passes, [{ key: 'shop/one', at: MINUTE_MS }]);
  await bench.world.run(9 * MINUTE_MS);
  // Its lead time begins earlier now.
  assert.ok(bench.times('one').includes(10 * MINUTE_MS));
  bench.apply('new', 100 * MINUTE_MS);
  await bench.world.run(0);
  assert.deepEqual(bench.times('new'), [10 * MINUTE_MS]);
  bench.take('two');
  await bench.world.run(60 * MINUTE_MS);
  assert.ok(bench.times('two').length <= 2, 'the wake-up, and one that was due before');
  await bench.world.run(60 * MINUTE_MS);
  assert.deepEqual(bench.times('two'), []);
});

test('what is applied while all are listed for the first time is passed as soon as they are known', async () => {
  const bench = new Bench();
  bench.apply('early', 100 * MINUTE_MS);
  bench.whileListing = () => bench.apply('meanwhile', 100 * MINUTE_MS);
  await bench.start();
  assert.deepEqual(bench.times('meanwhile'), [0]);
});

test('a name that becomes free wakes the sale that waited for it, and one that is taken bars it', async () => {
  const bench = new Bench();
  bench.apply('drop', 100 * MINUTE_MS, 'first');
  await bench.start();
  bench.apply('drop', 100 * MINUTE_MS, 'second');
  await bench.world.run(MINUTE_MS);
  const accepted = (): string | undefined =>
    bench.documents.get('second/drop')?.status?.conditions.find(({ type }) => type === 'Accepted')?.status;
  assert.equal(accepted(), 'False');
  assert.equal(bench.published.get('drop')?.namespace, 'first');
  bench.passes.splice(0);
  bench.take('drop', 'first');
  await bench.world.run(0);
  assert.deepEqual(bench.times('drop', 'second'), [MINUTE_MS]);
  assert.equal(accepted(), 'True');
  assert.equal(bench.published.get('drop')?.namespace, 'second');
});

test('a Redis that lost everything, or went back, wakes every sale within a look', async () => {
  const bench = new Bench();
  for (const name of ['one', 'two']) bench.apply(name, 100 * MINUTE_MS);
  await bench.start();
  await bench.world.run(MINUTE_MS);
  for (const version of [0, 1]) {
    bench.passes.splice(0);
    bench.published.clear();
    bench.version = version;
    const lostAt = bench.world.now;
    await bench.world.run(LOOK_MS);
    for (const name of ['one', 'two']) {
      const at = bench.passes.find(({ key }) => key === `shop/${name}`)?.at ?? Infinity;
      assert.ok(at - lostAt <= LOOK_MS, `${name} after ${at - lostAt} ms`);
    }
    assert.deepEqual([...bench.published.keys()].sort(), ['one', 'two']);
    await bench.world.run(MINUTE_MS);
  }
});

test('a clock of Redis that jumps wakes every sale: their instants are somewhere else now', async () => {
  const bench = new Bench();
  bench.apply('far', 100 * MINUTE_MS);
  await bench.start();
  await bench.world.run(MINUTE_MS);
  bench.passes.splice(0);
  bench.shift = 90 * MINUTE_MS;
  await bench.world.run(LOOK_MS);
  assert.ok(bench.times('far').length > 0);
  assert.equal(bench.documents.get('shop/far')?.status?.phase, 'Warming');
});

test('a clock of Redis that runs fast wakes them too, once it is ahead by as much as a jump', async () => {
  const bench = new Bench();
  bench.apply('far', 100 * MINUTE_MS);
  await bench.start();
  await bench.world.run(MINUTE_MS);
  bench.passes.splice(0);
  for (const shift of [1_000, 2_000, 3_000]) {
    bench.shift = shift;
    await bench.world.run(LOOK_MS);
  }
  assert.equal(bench.times('far').length, 1);
});

test('a sale that fails comes again after a quarter of a second, half, one …, five; an edit does not wait', async () => {
  const bench = new Bench();
  bench.broken = 'bad';
  bench.apply('bad', 100 * MINUTE_MS);
  bench.apply('good', 100 * MINUTE_MS);
  await bench.start();
  await bench.world.run(20_000);
  const times = bench.times('bad');
  assert.deepEqual(times, [0, 250, 750, 1_750, 3_750, 7_750, 12_750, 17_750]);
  bench.broken = undefined;
  bench.apply('bad', 99 * MINUTE_MS);
  await bench.world.run(0);
  assert.deepEqual(bench.times('bad'), [20_000]);
  assert.equal(bench.documents.get('shop/bad')?.status?.phase, 'Scheduled');
});
