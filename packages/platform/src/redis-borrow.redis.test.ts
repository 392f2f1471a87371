/** Borrowing and loading that were interrupted half-way, or that others cross: nothing is lost, doubled or said too soon. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { testRedis } from '@flashsale/local/testing';
import { encodeHold, type PublishedSale, type ShardItem } from '@flashsale/sale';
import {
  callBorrowDone,
  callBorrowGive,
  callBorrowTake,
  callStageActivate,
  callStageBegin,
  callStageHolds,
  callStageItem,
} from '@flashsale/sale/scripts';
import { quiet } from './redis-fixtures.ts';
import { itemKeys } from './redis-sale-keys.ts';
import { connectRedis, createSaleStore, type RedisConnection } from './redis.ts';

let redis: RedisConnection;
let names = 0;

before(async () => {
  redis = connectRedis(await testRedis(), quiet);
  await redis.start();
});
after(() => redis.stop());

/** Shards of which the first has all the units: `stock` below the number of shards goes to the first ones. */
async function warmSale(shards: number, stock: number): Promise<PublishedSale> {
  const item = { sku: 'shoe', title: 'Shoe', stock, perBuyer: 1, price: { minor: 100, currency: 'EUR' } };
  const sale: PublishedSale = {
    name: `b${process.pid}-${Date.now().toString(36)}-${names++}`,
    namespace: 'shop',
    opensAt: 0,
    closesAt: Date.now() + 3_600_000,
    paused: false,
    notReady: 'Delay',
    items: [item],
    holdForMs: 60_000,
    membersOnly: false,
    warm: { leadTimeMs: 0, shards, cache: { ttlMs: 1, jitter: 0, pages: 0 } },
    scale: [],
    epoch: 1,
    phase: 'Open',
  };
  await createSaleStore(redis).warm(sale, 1);
  return sale;
}

const at = (sale: PublishedSale, shard: number): ShardItem => ({ sale: sale.name, shard, sku: 'shoe' });
const fence = { epoch: 1, sku: 'shoe' };
const take = (sale: PublishedSale, from: number, to: number) =>
  callBorrowTake(redis.run, itemKeys(at(sale, from)), { ...fence, to, least: 1 });
const give = (sale: PublishedSale, from: number, to: number, transfer: number) =>
  callBorrowGive(redis.run, itemKeys(at(sale, to)), { ...fence, from, transfer, units: 1 });
const done = (sale: PublishedSale, from: number, to: number, transfer: number) =>
  callBorrowDone(redis.run, itemKeys(at(sale, from)), { ...fence, to, transfer });
const levelOf = async (sale: PublishedSale) => (await createSaleStore(redis).inspect(sale))?.items.get('shoe');

test('a borrower that crashed after taking: the unit counts as free, and whoever comes next completes it', async () => {
  const sale = await warmSale(3, 1);
  assert.deepEqual(await take(sale, 0, 1), [1, 1, 1]);
  assert.deepEqual(await levelOf(sale), { stock: 1, free: 1, held: 0, sold: 0 });
  assert.deepEqual(await take(sale, 0, 1), [1, 1, 1], 'a repetition finds it open');
  assert.partialDeepStrictEqual(await createSaleStore(redis).borrow(sale, at(sale, 2), 1), { moved: 1, held: 0 });
  assert.deepEqual(await levelOf(sale), { stock: 1, free: 1, held: 0, sold: 0 });
});

test('a borrower that crashed after giving: the unit is counted once', async () => {
  const sale = await warmSale(2, 1);
  await take(sale, 0, 1);
  assert.equal(await give(sale, 0, 1, 1), 1);
  assert.deepEqual(await levelOf(sale), { stock: 1, free: 1, held: 0, sold: 0 });
  assert.partialDeepStrictEqual(await createSaleStore(redis).borrow(sale, at(sale, 1), 1), { moved: 1, held: 0 });
  assert.deepEqual(await levelOf(sale), { stock: 1, free: 1, held: 0, sold: 0 });
});

test('a completer that wakes up late gives nothing twice', async () => {
  const sale = await warmSale(2, 1);
  await take(sale, 0, 1);
  assert.deepEqual([await give(sale, 0, 1, 1), await done(sale, 0, 1, 1)], [1, 1]);
  assert.deepEqual([await give(sale, 0, 1, 1), await done(sale, 0, 1, 1)], [2, 2]);
  // The unit goes back and comes again under the next number; the late one still does nothing.
  assert.deepEqual(await take(sale, 1, 0), [1, 1, 1]);
  assert.deepEqual([await give(sale, 1, 0, 1), await done(sale, 1, 0, 1)], [1, 1]);
  assert.deepEqual(await take(sale, 0, 1), [1, 2, 1]);
  assert.deepEqual([await give(sale, 0, 1, 1), await done(sale, 0, 1, 1)], [2, 2]);
  assert.equal(await give(sale, 0, 1, 2), 1);
  assert.deepEqual(await levelOf(sale), { stock: 1, free: 1, held: 0, sold: 0 });
});

test('a unit that slips past the reader between two shards is not taken for none', async () => {
  const sale = await warmSale(3, 1);
  assert.deepEqual([await take(sale, 0, 1), await give(sale, 0, 1, 1), await done(sale, 0, 1, 1)], [[1, 1, 1], 1, 1]);
  const moved = { once: false };
  // Shard 0 has been read as empty when the unit moves there from shard 1, which is then read as empty too.
  const crossed: RedisConnection = {
    ...redis,
    run: async (script, keys, args) => {
      const readsShard1 = script.name === 'look' && keys[0] === itemKeys(at(sale, 1)).meta;
      if (readsShard1 && !moved.once) {
        moved.once = true;
        assert.deepEqual(
          [await take(sale, 1, 0), await give(sale, 1, 0, 1), await done(sale, 1, 0, 1)],
          [[1, 1, 1], 1, 1],
        );
      }
      return redis.run(script, keys, args);
    },
  };
  assert.partialDeepStrictEqual(await createSaleStore(crossed).borrow(sale, at(sale, 2), 1), { moved: 1, held: 0 });
  assert.ok(moved.once);
});

test('a unit that comes back behind the reader is not taken for none', async () => {
  const sale = await warmSale(2, 2);
  const store = createSaleStore(redis);
  const ids = [0, 1].map((shard) => `${sale.name}.${shard}.${'x'.repeat(22)}`) as [string, string];
  for (const [shard, id] of ids.entries()) {
    const request = { id, buyer: { id: `b${shard}` }, quantity: 1, correlationId: '' };
    assert.equal((await store.reserve(sale, at(sale, shard), [request]))[0]?.code, 'reserved');
  }
  const state = { returned: false };
  const crossed: RedisConnection = {
    ...redis,
    run: async (script, keys, args) => {
      const answer = await redis.run(script, keys, args);
      if (script.name === 'look' && keys[0] === itemKeys(at(sale, 1)).meta && !state.returned) {
        state.returned = true;
        await store.release(at(sale, 1), [{ id: ids[1], status: 'refused', epoch: 1 }]);
      }
      return answer;
    },
  };
  assert.partialDeepStrictEqual(await createSaleStore(crossed).borrow(sale, at(sale, 0), 1), { moved: 1, held: 1 });
});

test('a chunk of holds that is staged twice counts once', async () => {
  const sale = await warmSale(1, 5);
  const keys = itemKeys(at(sale, 0));
  const token = 't';
  assert.equal(await callStageBegin(redis.run, keys, { epoch: 2, again: 1, token }), 0);
  const item = { token, stock: 5, free: 5, perBuyer: 1, price: 1, currency: 'EUR' };
  assert.equal(await callStageItem(redis.run, keys, item), 1);
  const hold = { id: `${sale.name}.0.${'x'.repeat(22)}`, buyer: { id: 'b' }, sku: 'shoe', quantity: 1, expiresAt: 9 };
  const each = [{ id: hold.id, text: encodeHold({ ...hold, status: 'reserved' }, 2) }];
  for (let i = 0; i < 2; i++) assert.equal(await callStageHolds(redis.run, keys, { token }, each), 1);
  assert.equal(await callStageHolds(redis.run, keys, { token: 'old' }, each), -9);
  const window = { opensAt: 0, closesAt: sale.closesAt, state: 'open', holdForMs: 1, members: 0 };
  assert.equal(await callStageActivate(redis.run, keys, { token, epoch: 2, holds: 1, ...window }), 1);
  assert.deepEqual(await levelOf(sale), { stock: 5, free: 4, held: 1, sold: 0 });
});

test('an attempt to load that another took over is refused at each further step', async () => {
  const sale = await warmSale(1, 5);
  const keys = itemKeys(at(sale, 0));
  const begin = (token: string) => callStageBegin(redis.run, keys, { epoch: 2, again: 1, token });
  const stage = (token: string) =>
    callStageItem(redis.run, keys, { token, stock: 5, free: 5, perBuyer: 1, price: 1, currency: 'EUR' });
  const window = { opensAt: 0, closesAt: sale.closesAt, state: 'open', holdForMs: 1, members: 0 };
  const activate = (token: string, holds: number) =>
    callStageActivate(redis.run, keys, { token, epoch: 2, holds, ...window });
  assert.deepEqual([await begin('a'), await stage('a')], [0, 1]);
  const request = { id: `${sale.name}.0.${'x'.repeat(22)}`, buyer: { id: 'b' }, quantity: 1, correlationId: '' };
  const store = createSaleStore(redis);
  for (const epoch of [1, 2]) {
    assert.deepEqual(await store.reserve({ ...sale, epoch }, at(sale, 0), [request]), [{ code: 'notWarm' }]);
  }
  assert.equal(await store.inspect(sale), undefined);
  assert.equal(await begin('b'), 0);
  assert.deepEqual([await stage('a'), await activate('a', 0)], [-9, -9]);
  assert.equal(await stage('b'), 1);
  assert.equal(await activate('b', 1), -8, 'a staged hold is missing');
  assert.deepEqual([await activate('b', 0), await activate('b', 0)], [1, 2]);
  assert.equal(await callStageBegin(redis.run, keys, { epoch: 1, again: 1, token: 'c' }), 2);
  assert.equal((await store.inspect(sale))?.epoch, 2);
});
