/** The sweeper ends due holds once and only once, whoever sweeps and wherever it dies. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { testRedis } from '@flashsale/local/testing';
import { createLogger } from '@flashsale/platform/log';
import { connectRedis, createSaleStore, type RedisConnection } from '@flashsale/platform/redis';
import { homeShard, purchaseId, type PublishedSale, type SaleStore } from '@flashsale/sale';
import fc from 'fast-check';
import { listSale } from './sale-directory.ts';
import { sweep, type SweeperOptions } from './sweeper.ts';
import { randomSaleName } from './test-checkout.ts';
import { testItem, testSale } from './test-sale.ts';

const log = createLogger('test', 'silent');
let redis: RedisConnection;
let store: SaleStore;
before(async () => {
  redis = connectRedis(await testRedis(), log);
  await redis.start();
  store = createSaleStore(redis);
});
after(() => redis.stop());

const SKU = 'air-zero-42';

async function reserve(sale: PublishedSale, buyers: number): Promise<void> {
  for (let n = 0; n < buyers; n++) {
    const buyer = { id: `b${n}` };
    const shard = homeShard(buyer.id, sale.warm.shards);
    const id = purchaseId(sale.name, shard, String(n).padStart(22, '0'));
    const [answer] = await store.reserve(sale, { sale: sale.name, shard, sku: SKU }, [
      { id, buyer, quantity: 1, correlationId: 'c' },
    ]);
    assert.equal(answer?.code, 'reserved');
  }
}

test('two sweepers that fail at any step release every due hold exactly once', async () => {
  const crash = fc.record({ call: fc.nat(8), after: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 12 }), fc.array(crash, { maxLength: 5 }), async (buyers, plan) => {
      // Holds that are due as soon as they are made.
      const sale = testSale(randomSaleName(), { items: [testItem(SKU, { stock: 24 })], holdForMs: 1 });
      await store.warm(sale, sale.epoch);
      await reserve(sale, buyers);
      while ((await store.time()) <= Math.max(...(await expiries(sale)))) {
        // A millisecond or two.
      }
      let calls = 0;
      const wrap =
        <A extends unknown[], R>(port: (...args: A) => Promise<R>) =>
        async (...args: A): Promise<R> => {
          const point = plan.find(({ call }) => call === calls);
          calls++;
          if (point && !point.after) throw new Error('crash');
          const result = await port(...args);
          if (point) throw new Error('crash');
          return result;
        };
      const options: SweeperOptions = {
        store: { due: wrap(store.due.bind(store)), release: wrap(store.release.bind(store)) },
        directory: { all: () => [listSale(sale)] },
        log,
        onReleased: () => undefined,
      };
      for (let pass = 0; pass < 12; pass++) await Promise.allSettled([sweep(options), sweep(options)]);
      const level = (await store.inspect(sale))?.items.get(SKU);
      assert.deepEqual(level, { stock: 24, free: 24, held: 0, sold: 0 });
      let events = 0;
      for (let shard = 0; shard < sale.warm.shards; shard++) {
        const entries = await store.readOutbox(sale.name, shard, 'test', 100, 0);
        events += entries.flatMap((entry) => entry.events).filter(({ type }) => type === 'expired').length;
      }
      assert.equal(events, buyers);
      await store.purge(sale);
    }),
    { numRuns: 25 },
  );
});

async function expiries(sale: PublishedSale): Promise<number[]> {
  const all: number[] = [];
  for await (const hold of store.holds(sale)) all.push(hold.expiresAt);
  return all;
}

test('a hold that is not due stays', async () => {
  const sale = testSale(randomSaleName(), { items: [testItem(SKU, { stock: 4 })] });
  await store.warm(sale, sale.epoch);
  await reserve(sale, 2);
  const onReleased = (): never => assert.fail('nothing is due');
  assert.equal(await sweep({ store, directory: { all: () => [listSale(sale)] }, log, onReleased }), false);
  assert.equal((await store.inspect(sale))?.items.get(SKU)?.held, 2);
  await store.purge(sale);
});

test('due holds that cannot be released are looked at again after a pause, and not at once', async () => {
  const sale = testSale(randomSaleName(), { items: [testItem(SKU, { stock: 4_096 })], holdForMs: 1 });
  await store.warm(sale, sale.epoch);
  const at = { sale: sale.name, shard: 0, sku: SKU };
  const batch = Array.from({ length: 256 }, (_, n) => {
    return { id: purchaseId(sale.name, 0, String(n).padStart(22, '0')), buyer: { id: `b${n}` }, quantity: 1 };
  });
  const asked = batch.map((one) => ({ ...one, correlationId: 'c' }));
  for (const half of [asked.slice(128), asked.slice(0, 128)]) await store.reserve(sale, at, half);
  while ((await store.due(sale.name, 0, 256)).length < 256) {
    // A millisecond or two.
  }
  const swept = (epoch: number): Promise<boolean> =>
    sweep({ store, directory: { all: () => [listSale({ ...sale, epoch })] }, log, onReleased: () => undefined });
  // This Redis is an epoch behind.
  assert.equal(await swept(sale.epoch + 1), false);
  assert.equal(await swept(sale.epoch), true);
  assert.equal(await swept(sale.epoch), false);
  await store.purge(sale);
});
