/** The hot pages of a sale through the operator, on a real Redis: loaded, watched, and loaded again in time. */
import assert from 'node:assert/strict';
import { after, afterEach, beforeEach, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { systemClock } from '@flashsale/kube/clock';
import { testRedis } from '@flashsale/local/testing';
import { hotPages, pageNames, shortestLife, type HotPages, type PageToLoad, type Sale } from '@flashsale/sale';
import { hotPagesContract } from '@flashsale/sale/pages-contract';
import type { SaleStatus } from './status.ts';
import { World, type Operator } from './world.fixture.ts';

const LATER = { opensAt: Date.now() + 600_000, closesAt: Date.now() + 900_000 };
const withCache = (cache: Record<string, unknown>) => ({ ...LATER, warm: { leadTime: '1h', shards: 2, cache } });

let world: World;
beforeEach(async () => {
  world = await World.start(await testRedis());
});
afterEach(() => world.stop());

let other: World | undefined;
after(() => other?.stop());
hotPagesContract('the hot pages of the world', async () => {
  const one = (other = await World.start(await testRedis()));
  return { pages: one.pages(), lose: (name) => one.losePage(name) };
});

const cacheWarm = (status: SaleStatus | undefined) => {
  const found = status?.conditions.find(({ type }) => type === 'CacheWarm');
  return found && { status: found.status, reason: found.reason, message: found.message };
};
const isArmed = ({ phase }: SaleStatus): boolean => phase === 'Armed';

/** An operator whose loads are noted, and whose clock may be set ahead. */
function watched(): { operator: Operator; loads: string[][]; ahead: (ms: number) => void } {
  const loads: string[][] = [];
  let aheadMs = 0;
  const operator = world.operator((deps) => ({
    ...deps,
    pages: {
      readBack: (names) => deps.pages.readBack(names),
      preload: (sale: Sale, pages: readonly PageToLoad[]) => {
        loads.push(pages.map(({ name }) => name));
        return deps.pages.preload(sale, pages);
      },
    } satisfies HotPages,
    store: { ...deps.store, time: async () => (await deps.store.time()) + aheadMs },
  }));
  return { operator, loads, ahead: (ms) => (aheadMs = ms) };
}

async function saleOf(name: string): Promise<Sale> {
  return (await world.status(name))?.accepted ?? assert.fail('it was accepted');
}

test('a sale is Armed once its pages were read back, and CacheWarm says how many', async () => {
  await world.apply('pages', withCache({ ttl: '2m', jitter: 0.3, pages: 7 }));
  const { operator, loads } = watched();
  const status = await world.until(operator, 'pages', isArmed);
  assert.deepEqual(cacheWarm(status), {
    status: 'True',
    reason: 'ReadBack',
    message: '8 of 8 hot pages were read back from the cache',
  });
  assert.deepEqual(loads, [hotPages(await saleOf('pages'))]);
  await operator.pass();
  assert.equal(loads.length, 1, 'what is there is not loaded again');
});

test('pages that Redis loses while the sale is Armed are noticed, and come back before the opening', async () => {
  await world.apply('lost', withCache({ pages: 3 }));
  const { operator, loads } = watched();
  await world.until(operator, 'lost', isArmed);
  world.down.add('catalog');
  for (const name of [pageNames.list(1), pageNames.list(3)]) await world.losePage(name);
  const told = await world.until(operator, 'lost', ({ phase }) => phase === 'Warming');
  assert.deepEqual(cacheWarm(told), {
    status: 'False',
    reason: 'PagesMissing',
    message: '2 of 4 hot pages are cached; the catalog cannot load them: the catalog is down',
  });
  assert.match(told.message, /^CacheWarm: 2 of 4/);
  world.down.delete('catalog');
  await world.until(operator, 'lost', isArmed);
  assert.deepEqual(loads.at(-1), [pageNames.list(1), pageNames.list(3)], 'only what was lost is loaded');
});

test('a loss that is mended at once is no reason to go back to Warming', async () => {
  await world.apply('blip', withCache({ pages: 1 }));
  const { operator } = watched();
  await world.until(operator, 'blip', isArmed);
  await world.losePage(pageNames.list(1));
  await operator.pass();
  const status = await world.status('blip');
  assert.deepEqual([status?.phase, cacheWarm(status)?.status], ['Armed', 'True']);
});

test('a catalog that is down is asked again, less and less often', async () => {
  await world.apply('down', withCache({ pages: 1 }));
  world.down.add('catalog');
  const { operator, loads, ahead } = watched();
  await world.until(operator, 'down', ({ phase }) => phase === 'Warming');
  for (let seconds = 0; seconds <= 60; seconds += 0.5) {
    ahead(seconds * 1_000);
    await operator.pass();
  }
  // 0.5, 1, 2, 4, 8, 16, 16 s between them.
  assert.ok(loads.length >= 7 && loads.length <= 10, `${loads.length} times in a minute`);
  assert.equal(cacheWarm(await world.status('down'))?.status, 'False');
  world.down.delete('catalog');
  ahead(120_000);
  await world.until(operator, 'down', isArmed);
});

test('pages are loaded again before the first of them runs out, and a long lead time finds them all at the opening', async () => {
  const cache = { ttl: '2m', jitter: 0.5, pages: 5 };
  await world.apply('long', withCache(cache));
  const { operator, loads, ahead } = watched();
  await world.until(operator, 'long', isArmed);
  const sale = await saleOf('long');
  const life = shortestLife(sale.warm.cache);
  // Redis' own clock cannot be moved: instead of time passing, the pages get less time.
  const ageAll = async (leftMs: number): Promise<void> => {
    const pages = hotPages(sale).map((name) => ({ name, ttlMs: leftMs, body: '{}', version: 1, loadMs: 1 }));
    await world.cache.put(pages);
  };
  await ageAll(20_000);
  ahead(life - 20_000);
  await operator.pass();
  assert.equal(loads.length, 1, 'with 20 s left nothing is due');
  await ageAll(14_000);
  ahead(life - 14_000);
  await operator.pass();
  assert.deepEqual(loads[1], hotPages(sale), 'with less than 15 s left all are');
  const left = await world.cache.left(hotPages(sale));
  assert.ok(left.every((ms) => ms !== undefined && ms > life - 5_000));
});

test('in real time: with a lead time of several ttls no page is ever missing, up to the opening and past it', async (t) => {
  const opensAt = Date.now() + 12_000;
  const cache = { ttl: '6s', jitter: 0.3, pages: 30 };
  await world.apply('ticking', { opensAt, closesAt: opensAt + 60_000, warm: { leadTime: '1h', shards: 2, cache } });
  const { operator, loads } = watched();
  await world.until(operator, 'ticking', isArmed);
  const names = hotPages(await saleOf('ticking'));
  let least = Infinity;
  await world.until(
    operator,
    'ticking',
    ({ phase }) => phase === 'Open' && Date.now() > opensAt + 500,
    async () => {
      const left = await world.cache.left(names);
      least = Math.min(least, ...left.map((ms) => ms ?? 0));
      await pause(100);
    },
  );
  t.diagnostic(`the least time left was ${least} ms, over ${loads.length} loads`);
  assert.ok(least > 0, 'none was ever missing');
  assert.ok(loads.length >= 3 && loads.every((pages) => pages.length === names.length), 'all together');
});

test('a changed price makes the pages anew', async () => {
  await world.apply('dearer', withCache({ pages: 0 }));
  const { operator, loads } = watched();
  await world.until(operator, 'dearer', isArmed);
  const items = [{ sku: 'shoe', stock: 10, title: 'Shoe', price: { amount: '2.00', currency: 'EUR' } }];
  await world.apply('dearer', { ...withCache({ pages: 0 }), items });
  await operator.pass();
  assert.deepEqual(loads, [[pageNames.product('shoe')], [pageNames.product('shoe')]]);
});

test('notReady decides about a sale whose pages are missing at the opening', async () => {
  world.down.add('catalog');
  const { operator } = watched();
  const spec = { opensAt: Date.now() - 1_000, closesAt: Date.now() + 60_000 };
  // Items of their own: what another sale has loaded is warm for this one too.
  const items = [{ sku: 'cold', stock: 1, price: { amount: '1.00', currency: 'EUR' } }];
  await world.apply('delay', { ...spec, items, notReady: 'Delay' });
  await world.apply('open', { ...spec, items, notReady: 'Open' });
  await world.apply('abort', { ...spec, items, notReady: 'Abort' });
  await world.until(operator, 'open', ({ phase }) => phase === 'Open');
  await world.until(operator, 'abort', ({ phase }) => phase === 'Aborted');
  const delayed = await world.until(operator, 'delay', ({ phase }) => phase === 'Warming');
  assert.match(delayed.message, /^opens as soon as it is ready; CacheWarm: /);
  world.down.delete('catalog');
  await world.until(operator, 'delay', ({ phase }) => phase === 'Open');
  const open = await world.until(operator, 'open', (status) => cacheWarm(status)?.status === 'True');
  assert.equal(open.phase, 'Open', 'while it is open its pages are kept as well');
});

test('a gate that opens again after a loss does not wait for pages', async () => {
  const spec = { opensAt: Date.now() - 1_000, closesAt: Date.now() + 60_000 };
  await world.apply('reopened', { ...spec, warm: { leadTime: '1h', shards: 2, cache: { pages: 1 } } });
  const { operator, loads } = watched();
  await world.until(operator, 'reopened', ({ phase, gate }) => phase === 'Open' && gate.includes('open'));
  await world.losePage(pageNames.list(1));
  await world.store.purge(await saleOf('reopened'));
  await operator.pass();
  const status = await world.status('reopened');
  assert.deepEqual([status?.epoch, status?.gate.includes('open'), loads.length], [2, true, 1]);
  await operator.pass();
  assert.deepEqual(loads.at(-1), [pageNames.list(1)]);
});

/** An operator whose catalog answers once `answer` is resolved, from `slow` on. */
function slowed() {
  const answer = Promise.withResolvers<undefined>();
  const state = { slow: false, answer };
  const operator = world.operator((deps) => ({
    ...deps,
    timers: systemClock,
    pages: {
      readBack: (names) => deps.pages.readBack(names),
      preload: async (sale: Sale, pages: readonly PageToLoad[]) => {
        if (state.slow) await answer.promise;
        await deps.pages.preload(sale, pages);
      },
    } satisfies HotPages,
  }));
  return { operator, state };
}

test('a catalog that does not answer holds nothing up: a pause shuts the gate meanwhile', async () => {
  const spec = { opensAt: Date.now() - 1_000, closesAt: Date.now() + 60_000 };
  const warm = { leadTime: '1h', shards: 2, cache: { pages: 1 } };
  await world.apply('slow', { ...spec, warm });
  const { operator, state } = slowed();
  await world.until(operator, 'slow', ({ phase, gate }) => phase === 'Open' && gate.includes('open'));
  state.slow = true;
  await world.losePage(pageNames.list(1));
  await world.apply('slow', { ...spec, warm, paused: true });
  await operator.pass();
  assert.match((await world.status('slow'))?.gate ?? '', /shut/);
  await world.until(operator, 'slow', (status) => cacheWarm(status)?.status === 'False');
  state.answer.resolve(undefined);
  await world.until(operator, 'slow', (status) => cacheWarm(status)?.status === 'True');
});

test('a catalog that takes its time to mend a loss is no reason to go back to Warming either', async () => {
  await world.apply('mended', withCache({ pages: 1 }));
  const { operator, state } = slowed();
  await world.until(operator, 'mended', isArmed);
  state.slow = true;
  await world.losePage(pageNames.list(1));
  for (let passes = 0; passes < 3; passes++) {
    await operator.pass();
    assert.equal((await world.status('mended'))?.phase, 'Armed');
  }
  state.answer.resolve(undefined);
  await operator.pass();
  assert.ok((await world.cache.left([pageNames.list(1)]))[0]);
  assert.equal((await world.status('mended'))?.phase, 'Armed');
});

test('before the warm-up nobody looks', async () => {
  const spec = { opensAt: Date.now() + 600_000, closesAt: Date.now() + 900_000, warm: { leadTime: '1m', shards: 2 } };
  await world.apply('early', spec);
  const { operator, loads } = watched();
  await operator.pass();
  assert.deepEqual(cacheWarm(await world.status('early'))?.status, 'Unknown');
  assert.deepEqual(loads, []);
});
