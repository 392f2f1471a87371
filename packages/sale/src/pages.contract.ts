/** What every page cache, lock and way to the hot pages must do: suites run against each implementation. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ExpirySpread, shortestLife } from './expiry-spread.ts';
import { mostIn, WINDOW_MS } from './expiry.fixture.ts';
import { hotPages, type HotPages, type PageCache, type PageContent, type PageLocks, type PageToKeep } from './pages.ts';
import { drop } from './sale.fixture.ts';
import type { Sale } from './types.ts';

const LONG_MS = 60_000;
const fresh = (): string => `p-${randomBytes(6).toString('hex')}`;
const page = (name: string, version: number, more: Partial<PageToKeep> = {}): PageToKeep => ({
  name,
  version,
  body: `{"version":${version}}`,
  loadMs: 3,
  ttlMs: LONG_MS,
  ...more,
});

/** `lose`: as a server that forgets a page. */
export interface CacheUnderTest {
  readonly cache: PageCache;
  readonly lose: (name: string) => Promise<void>;
}

export function pageCacheContract(name: string, make: () => Promise<CacheUnderTest>): void {
  let made: Promise<CacheUnderTest> | undefined;
  const under = (): Promise<CacheUnderTest> => (made ??= make());
  describe(name, () => {
    test('a page comes back as it was put, with the time that is left', async () => {
      const { cache } = await under();
      const one = fresh();
      assert.equal(await cache.get(one), undefined);
      const body = JSON.stringify({ text: 'ä € 🎟 \0 "', list: Array.from({ length: 500 }, (_, i) => i) });
      assert.deepEqual(await cache.put([page(one, 7, { body, loadMs: 12.5 })]), [true]);
      const { leftMs, ...content } = (await cache.get(one)) ?? assert.fail('it is there');
      assert.deepEqual(content, { body, version: 7, loadMs: 12.5 } satisfies PageContent);
      assert.ok(leftMs > LONG_MS - 5_000 && leftMs <= LONG_MS, `${leftMs}`);
    });

    test('a slow writer never puts an old page over a newer one; the same version may come again', async () => {
      const { cache } = await under();
      const [one, other] = [fresh(), fresh()];
      assert.deepEqual(await cache.put([page(one, 9), page(other, 10)]), [true, true]);
      // As numbers: as text, 10 comes before 9.
      assert.deepEqual(await cache.put([page(one, 10), page(other, 9)]), [true, false]);
      assert.deepEqual(
        [(await cache.get(one))?.version, (await cache.get(other))?.version, (await cache.get(other))?.body],
        [10, 10, '{"version":10}'],
      );
      assert.deepEqual(await cache.put([page(one, 10, { ttlMs: 2 * LONG_MS })]), [true]);
      assert.ok(((await cache.get(one))?.leftMs ?? 0) > LONG_MS);
    });

    test('writers in any order leave the newest version', async () => {
      const { cache } = await under();
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.integer({ min: 0, max: 2 ** 40 }), { minLength: 1, maxLength: 12 }),
          async (all) => {
            const one = fresh();
            await Promise.all(all.map((version) => cache.put([page(one, version)])));
            assert.equal((await cache.get(one))?.version, Math.max(...all));
          },
        ),
        { numRuns: 30 },
      );
    });

    test('many pages, each for its own time; what is lost or was never there is not left', async () => {
      const { cache, lose } = await under();
      const names = Array.from({ length: 450 }, fresh);
      const pages = names.map((one, i) => page(one, 1, { ttlMs: LONG_MS + i * 1_000 }));
      assert.ok((await cache.put(pages)).every(Boolean));
      await lose(names[7] ?? '');
      const left = await cache.left([...names, fresh()]);
      assert.equal(left.length, 451);
      for (const [i, ms] of left.entries()) {
        if (i === 7 || i === 450) assert.equal(ms, undefined);
        else
          assert.ok(ms !== undefined && ms <= LONG_MS + i * 1_000 && ms > LONG_MS + i * 1_000 - 10_000, `${i}: ${ms}`);
      }
      assert.deepEqual([await cache.put([]), await cache.left([])], [[], []]);
    });

    test('a page cannot be kept for no time', async () => {
      const { cache } = await under();
      for (const ttlMs of [0, -1, 1.5, Number.NaN])
        await assert.rejects(cache.put([page(fresh(), 1, { ttlMs })]), RangeError);
    });
  });
}

export function pageLocksContract(name: string, make: () => Promise<PageLocks>): void {
  describe(name, () => {
    test('one of many gets it, and after its release another', async () => {
      const locks = await make();
      const one = fresh();
      const tries = await Promise.all(Array.from({ length: 20 }, () => locks.tryLock(one, LONG_MS)));
      const got = tries.filter((release) => release !== undefined);
      assert.equal(got.length, 1);
      assert.ok(await locks.tryLock(fresh(), LONG_MS), 'another name is free');
      await got[0]?.();
      assert.ok(await locks.tryLock(one, LONG_MS));
    });

    test('a lease that ran out is another’s, and its late release takes nothing from him', async () => {
      const locks = await make();
      const one = fresh();
      const late = await locks.tryLock(one, 100);
      let next: (() => Promise<void>) | undefined;
      for (const until = Date.now() + 10_000; !next && Date.now() < until;) next = await locks.tryLock(one, LONG_MS);
      assert.ok(late && next);
      await late();
      assert.equal(await locks.tryLock(one, LONG_MS), undefined);
    });
  });
}

export interface HotPagesUnderTest {
  readonly pages: HotPages;
  readonly lose: (name: string) => Promise<void>;
}

/** A sale whose items nobody else has. */
function saleOf(items: number, pages: number): Sale {
  const sku = fresh();
  const all = Array.from({ length: items }, (_, i) => ({
    ...(drop.items[0] as Sale['items'][number]),
    sku: `${sku}-${i}`,
  }));
  return { ...drop, name: sku, items: all, warm: { ...drop.warm, cache: { ...drop.warm.cache, pages } } };
}

export function hotPagesContract(name: string, make: () => Promise<HotPagesUnderTest>): void {
  let made: Promise<HotPagesUnderTest> | undefined;
  const under = (): Promise<HotPagesUnderTest> => (made ??= make());
  const place = (spread: ExpirySpread, sale: Sale) => {
    const names = hotPages(sale);
    const lives = spread.place(names, sale.warm.cache, Date.now());
    return names.map((one, i) => ({ name: one, ttlMs: lives[i] ?? 1 }));
  };
  describe(name, () => {
    test('what was never loaded is not there; what was loaded is, for about its time', async () => {
      const { pages } = await under();
      const sale = saleOf(60, 5);
      const items = hotPages(sale).slice(0, 60);
      assert.deepEqual(
        await pages.readBack(items),
        Array.from({ length: 60 }, () => undefined),
      );
      const loads = place(new ExpirySpread(), sale);
      await pages.preload(sale, loads);
      for (const [i, ms] of (await pages.readBack(hotPages(sale))).entries()) {
        const ttlMs = loads[i]?.ttlMs ?? 0;
        assert.ok(ms !== undefined && ms <= ttlMs && ms > ttlMs - 10_000, `${loads[i]?.name}: ${ms} of ${ttlMs}`);
      }
    });

    test('a page that was lost is missing, and comes back alone', async () => {
      const { pages, lose } = await under();
      const sale = saleOf(3, 1);
      const loads = place(new ExpirySpread(), sale);
      await pages.preload(sale, loads);
      await lose(loads[1]?.name ?? '');
      const names = hotPages(sale).slice(0, 3);
      assert.deepEqual(
        (await pages.readBack(names)).map((ms) => ms === undefined),
        [false, true, false],
      );
      await pages.preload(sale, loads.slice(1, 2));
      assert.ok((await pages.readBack(names)).every((ms) => ms !== undefined));
    });

    test('expiries as they are kept: no two seconds hold more than twice the mean', async () => {
      const { pages } = await under();
      const spread = new ExpirySpread();
      const sales = [saleOf(25, 20), ...Array.from({ length: 12 }, () => saleOf(3, 20))];
      const { cache } = drop.warm;
      const widthMs = cache.ttlMs - shortestLife(cache);
      // Several sales at one instant, whose list pages are the same, and all of them once more.
      const loaded = new Set<string>();
      for (const [at, sale] of [...sales, ...sales].entries()) {
        const loads = place(spread, sale);
        await pages.preload(sale, loads);
        for (const { name } of loads) loaded.add(name);
        const left = (await pages.readBack([...loaded])).filter((ms) => ms !== undefined);
        assert.equal(left.length, loaded.size);
        const mean = (left.length * WINDOW_MS) / widthMs;
        const most = mostIn(left);
        assert.ok(most <= Math.max(2, Math.ceil(2 * mean)), `load ${at}: ${most} of ${left.length}, mean ${mean}`);
      }
    });
  });
}
