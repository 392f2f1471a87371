/** The guards around the database, with a real cache and real locks, and loads that a test lets go on. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { testRedis } from '@flashsale/local/testing';
import { createLogger } from '@flashsale/platform/log';
import { connectRedis, createPageCache, type RedisConnection } from '@flashsale/platform/redis';
import { createPageLocks } from '@flashsale/platform/redis-page-locks';
import { SaleError, type PageCache, type PageContent } from '@flashsale/sale';
import { Bulkhead } from './bulkhead.ts';
import { PageReader, type PageReaderOptions, type PageSource } from './read-page.ts';

const quiet = createLogger('test', 'silent');
let redis: RedisConnection;
let cache: PageCache;
before(async () => {
  redis = connectRedis(await testRedis(), quiet);
  await redis.start();
  cache = createPageCache(redis);
});
after(() => redis.stop());

const fresh = (): string => `t-${randomBytes(6).toString('hex')}`;
const content = (version: number): PageContent => ({ body: `{"version":${version}}`, version, loadMs: 1 });

/** A reader as one process has it. `random` 0: never early. */
function process(more: Partial<PageReaderOptions> = {}): PageReader {
  const bulkhead = new Bulkhead({ running: 4, waiting: 10 });
  return new PageReader({ cache, locks: createPageLocks(redis), log: quiet, bulkhead, random: () => 0, ...more });
}

/** A database of one page, which counts how often it is read. */
class Database implements PageSource {
  readonly ttlMs = 60_000;
  reads = 0;
  version = 1;
  gate: Promise<void> = Promise.resolve();
  readonly load = async (): Promise<PageContent> => {
    this.reads += 1;
    const seen = this.version;
    await this.gate;
    return content(seen);
  };
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 10_000;
  while (!(await holds())) {
    assert.ok(Date.now() < end, holds.toString());
    await pause(5);
  }
}

/** Many readers of one page at the same time, spread over processes. */
function readers(processes: readonly PageReader[], count: number, name: string, source: PageSource) {
  const all = Array.from({ length: count }, (_, n) => processes[n % processes.length] as PageReader);
  return Promise.all(all.map((reader) => reader.read(name, source)));
}

test('1,000 readers of a cold page over four processes read the database once', async () => {
  const database = new Database();
  database.gate = pause(100);
  const [name, processes] = [fresh(), [1, 2, 3, 4].map(() => process())];
  const bodies = new Set((await readers(processes, 1_000, name, database)).map((page) => page?.body));
  assert.deepEqual([...bodies], ['{"version":1}']);
  assert.equal(database.reads, 1);
});

test('a hot page is made anew before it ends, by one, while all go on reading the old one', async () => {
  const database = new Database();
  const name = fresh();
  // -ln(1 - random) is 36.7: with a load of 200 ms it is time from 7.3 s before the end on.
  const early = { random: () => 1 - Number.EPSILON / 2 };
  await cache.put([{ ...content(1), name, ttlMs: 30_000, loadMs: 200 }]);
  assert.equal((await process(early).read(name, database))?.version, 1);
  assert.equal(database.reads, 0, 'too early');
  await cache.put([{ ...content(1), name, ttlMs: 7_000, loadMs: 200 }]);
  database.version = 2;
  const { promise, resolve } = Promise.withResolvers<undefined>();
  database.gate = promise;
  const processes = [1, 2].map(() => process(early));
  const reads = await readers(processes, 200, name, database);
  assert.ok(
    reads.every((page) => page?.version === 1),
    'nobody waits',
  );
  await until(() => database.reads === 1);
  resolve(undefined);
  await until(async () => (await cache.get(name))?.version === 2);
  assert.ok(((await cache.get(name))?.leftMs ?? 0) > 40_000);
  assert.equal(database.reads, 1);
});

test('at the very end of a page a herd reads the database once', async () => {
  const database = new Database();
  const name = fresh();
  const processes = [1, 2].map(() => process());
  await cache.put([{ ...content(1), name, ttlMs: 300 }]);
  const end = Date.now() + 600;
  let read = 0;
  const client = async (n: number): Promise<void> => {
    while (Date.now() < end) {
      assert.ok(await processes[n % 2]?.read(name, database));
      read++;
    }
  };
  await Promise.all(Array.from({ length: 50 }, (_, n) => client(n)));
  assert.ok(read > 200, `${read} reads`);
  assert.equal(database.reads, 1);
});

test('a holder paused past its lease does not put its old page over the newer one, and answers with that', async () => {
  const [slow, quick] = [new Database(), new Database()];
  const name = fresh();
  const { promise, resolve } = Promise.withResolvers<undefined>();
  slow.gate = promise;
  const paused = process({ leaseMs: 200 }).read(name, slow);
  await until(() => slow.reads === 1);
  quick.version = 2;
  assert.equal((await process().read(name, quick))?.version, 2, 'the lease ran out, and another has loaded it');
  resolve(undefined);
  assert.equal((await paused)?.version, 2);
  assert.equal((await cache.get(name))?.version, 2);
});

test('a holder that died holds nobody up for long', async () => {
  const database = new Database();
  const name = fresh();
  assert.ok(await createPageLocks(redis).tryLock(name, 300));
  const from = performance.now();
  assert.equal((await process().read(name, database))?.version, 1);
  assert.ok(performance.now() - from < 1_900);
  // One whose lease is longer than anybody is patient.
  const other = fresh();
  assert.ok(await createPageLocks(redis).tryLock(other, 60_000));
  assert.equal((await process().read(other, database))?.version, 1);
});

test('what there is certainly none of costs no load; what the database does not have is not kept', async () => {
  const database = new Database();
  assert.equal(await process().read(fresh(), { ttlMs: 1_000, load: database.load, may: () => false }), undefined);
  const name = fresh();
  let asked = 0;
  const nothing: PageSource = {
    ttlMs: 1_000,
    load: () => {
      asked++;
      return Promise.resolve(undefined);
    },
  };
  const [one, two] = [process(), process()];
  assert.deepEqual(await Promise.all([one.read(name, nothing), one.read(name, nothing), two.read(name, nothing)]), [
    undefined,
    undefined,
    undefined,
  ]);
  assert.ok(asked >= 1 && asked <= 2);
  assert.equal(await cache.get(name), undefined);
});

test('without Redis the database is asked, a few at once, and beyond that callers are told to come again', async () => {
  const away = (): Promise<never> => Promise.reject(new SaleError('try_again_later', 'Redis is away'));
  let [running, most] = [0, 0];
  const source = (): PageSource => ({
    ttlMs: 1_000,
    load: async () => {
      most = Math.max(most, ++running);
      await pause(20);
      running--;
      return content(1);
    },
  });
  const reader = process({
    cache: { get: away, put: away, left: away },
    locks: { tryLock: () => Promise.resolve(undefined) },
  });
  const name = fresh();
  const same = await Promise.all(Array.from({ length: 100 }, () => reader.read(name, source())));
  assert.ok(
    same.every((page) => page?.version === 1),
    'readers of one page are one',
  );
  assert.equal(most, 1);
  const different = await Promise.allSettled(Array.from({ length: 40 }, () => reader.read(fresh(), source())));
  assert.equal(most, 4);
  assert.equal(different.filter(({ status }) => status === 'fulfilled').length, 14, '4 running and 10 waiting');
  assert.equal(await reader.read(fresh(), { ...source(), may: () => false }), undefined, 'the filter needs no Redis');
});

test('a load that fails is told to those who waited for it, and the next reader tries again', async () => {
  const name = fresh();
  const reader = process();
  const broken: PageSource = { ttlMs: 1_000, load: () => Promise.reject(new Error('the database broke')) };
  const reads = [reader.read(name, broken), reader.read(name, broken)];
  for (const { status } of await Promise.allSettled(reads)) assert.equal(status, 'rejected');
  assert.equal((await reader.read(name, new Database()))?.version, 1);
});

test('lives of pages that were asked for differ', async () => {
  const names = Array.from({ length: 20 }, fresh);
  const reader = process({ random: Math.random, bulkhead: new Bulkhead({ running: 4, waiting: 100 }) });
  await Promise.all(names.map((name) => reader.read(name, new Database())));
  const left = (await cache.left(names)).map((ms) => ms ?? 0);
  assert.ok(Math.min(...left) > 40_000 && Math.max(...left) <= 60_000);
  assert.ok(Math.max(...left) - Math.min(...left) > 3_000);
});
