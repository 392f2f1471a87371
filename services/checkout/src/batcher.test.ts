/** Batches, bounds and lost replies, against a port whose every answer the test decides. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger } from '@flashsale/platform/log';
import type { BorrowAnswer, Hold, PublishedSale, ReserveAnswer, ReserveRequest, ShardItem } from '@flashsale/sale';
import { Admitted } from './admitted.ts';
import { Batcher, MAX_BATCH, type Outcome, type Purchase } from './batcher.ts';
import { type ListedItem, listSale } from './sale-directory.ts';
import { SoldOut } from './sold-out.ts';
import { testSale } from './test-sale.ts';

const log = createLogger('test', 'silent');
const sale = testSale('drop');
const hold = (request: ReserveRequest): Hold => {
  return { id: request.id, sku: 'air-zero-42', quantity: 1, buyer: request.buyer, status: 'reserved', expiresAt: 0 };
};
const reserved = (batch: readonly ReserveRequest[]): ReserveAnswer[] => {
  return batch.map((request) => ({ code: 'reserved', hold: hold(request) }));
};

interface Port {
  reserve(sale: PublishedSale, at: ShardItem, batch: readonly ReserveRequest[]): Promise<ReserveAnswer[]>;
  borrow(sale: PublishedSale, at: ShardItem, quantity: number): Promise<BorrowAnswer>;
}

function setUp(port: Partial<Port>) {
  const unused = (): Promise<never> => Promise.reject(new Error('not expected'));
  const store: Port = { reserve: unused, borrow: unused, ...port };
  const soldOut = new SoldOut();
  const kicks: ShardItem[] = [];
  async function* none(): AsyncGenerator<Hold> {
    // No other process has sold anything.
  }
  const admitted = new Admitted({ holds: none }, log);
  const batcher = new Batcher({ store, soldOut, admitted, log, onReserved: (at) => kicks.push(at) });
  const item = listSale(sale).items.get('air-zero-42') as ListedItem;
  let next = 0;
  const submit = (changes: { shard?: number; quantity?: number; budgetMs?: number } = {}) => {
    const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
    let answers = 0;
    const id = `drop.0.${String(next++).padStart(22, '0')}`;
    const purchase: Purchase = {
      request: { id, buyer: { id: `b${next}` }, quantity: changes.quantity ?? 1, correlationId: 'c' },
      item,
      shard: changes.shard ?? 0,
      deadline: performance.now() + (changes.budgetMs ?? 850),
      rounds: 0,
      answer: (outcome) => {
        if (answers++ > 0) reject(new Error('answered twice'));
        resolve(outcome);
      },
    };
    return { taken: batcher.submit(purchase), outcome: promise, id, buyer: purchase.request.buyer.id };
  };
  return { submit, batcher, soldOut, admitted, kicks, item };
}

test('the purchases of one tick are one call an item and shard, in their order', async () => {
  const calls: { shard: number; ids: string[] }[] = [];
  const { submit, kicks } = setUp({
    reserve: (_sale, at, batch) => {
      calls.push({ shard: at.shard, ids: batch.map(({ id }) => id) });
      return Promise.resolve(reserved(batch));
    },
  });
  const purchases = [submit(), submit({ shard: 1 }), submit(), submit({ shard: 1 }), submit()];
  const outcomes = await Promise.all(purchases.map(({ outcome }) => outcome));
  assert.ok(outcomes.every(({ code }) => code === 'reserved'));
  const ids = purchases.map(({ id }) => id);
  assert.deepEqual(calls, [
    { shard: 0, ids: [ids[0], ids[2], ids[4]] },
    { shard: 1, ids: [ids[1], ids[3]] },
  ]);
  assert.deepEqual(
    kicks.map(({ shard }) => shard),
    [0, 1],
  );
});

test('under load the next batch gathers for a moment, one of its size goes at once, and a purchase alone never waits', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const sizes: number[] = [];
  const { submit } = setUp({
    reserve: (_sale, _at, batch) => {
      sizes.push(batch.length);
      return Promise.resolve(reserved(batch));
    },
  });
  const submitMany = (n: number): Promise<Outcome>[] => Array.from({ length: n }, () => submit().outcome);
  const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  await submit().outcome;
  await Promise.all(submitMany(6));
  const gathered = submitMany(2);
  await tick();
  assert.deepEqual(sizes, [1, 6]);
  gathered.push(...submitMany(3));
  await tick();
  t.mock.timers.tick(4);
  await Promise.all(gathered);
  assert.deepEqual(sizes, [1, 6, 5]);
  await Promise.all([...submitMany(40), submit().outcome]);
  await Promise.all(submitMany(32));
  assert.deepEqual(sizes, [1, 6, 5, 41, 32]);
});

test('a batch has its limit, calls in flight too, and what waits beyond the queue is refused', async () => {
  let inFlight = 0;
  let most = 0;
  const sizes: number[] = [];
  const gate = Promise.withResolvers<undefined>();
  const { submit, batcher } = setUp({
    reserve: async (_sale, _at, batch) => {
      most = Math.max(most, ++inFlight);
      sizes.push(batch.length);
      await gate.promise;
      inFlight--;
      return reserved(batch);
    },
  });
  const submitted = Array.from({ length: 9_000 }, () => submit());
  const taken = submitted.filter((one) => one.taken);
  assert.equal(taken.length, 8_192);
  assert.equal(batcher.waiting, 8_192);
  gate.resolve(undefined);
  const outcomes = await Promise.all(taken.map(({ outcome }) => outcome));
  assert.ok(outcomes.every(({ code }) => code === 'reserved'));
  assert.equal(most, 1);
  assert.ok(sizes.every((size) => size <= MAX_BATCH));
  assert.equal(sizes.length, 8_192 / MAX_BATCH);
  assert.equal(batcher.waiting, 0);
});

test('after a lost reply the same batch is sent once more, and the buyer gets its answer', async () => {
  const batches: string[][] = [];
  const { submit } = setUp({
    reserve: (_sale, _at, batch) => {
      batches.push(batch.map(({ id }) => id));
      if (batches.length === 1) return Promise.reject(new Error('connection lost'));
      return Promise.resolve(batch.map((request) => ({ code: 'replayed', hold: hold(request) })));
    },
  });
  const both = [submit(), submit()];
  const outcomes = await Promise.all(both.map(({ outcome }) => outcome));
  assert.deepEqual(
    outcomes.map(({ code }) => code),
    ['replayed', 'replayed'],
  );
  assert.deepEqual(batches[0], batches[1]);
  assert.equal(batches.length, 2);
});

test('a Redis that never answers leaves nobody waiting beyond the time of a purchase, queued ones included', async () => {
  let calls = 0;
  const { submit, batcher } = setUp({
    reserve: () => {
      calls++;
      return new Promise(() => undefined);
    },
  });
  const started = performance.now();
  const outcomes = await Promise.all(Array.from({ length: 600 }, () => submit({ budgetMs: 850 }).outcome));
  assert.ok(performance.now() - started < 850 + 300);
  assert.ok(outcomes.every(({ code }) => code === 'unavailable'));
  assert.equal(calls, 2, 'one call in flight, tried twice; the rest had no time left');
  assert.equal(batcher.waiting, 0);
});

test('an empty shard borrows, and what was borrowed is reserved', async () => {
  let free = 0;
  const { submit } = setUp({
    reserve: (_sale, _at, batch) => {
      return Promise.resolve(
        batch.map((request) => (free-- > 0 ? { code: 'reserved', hold: hold(request) } : { code: 'shardEmpty' })),
      );
    },
    borrow: () => {
      free = 3;
      return Promise.resolve({ moved: 3, held: 0, changes: 1 });
    },
  });
  const outcomes = await Promise.all([submit(), submit(), submit()].map(({ outcome }) => outcome));
  assert.ok(outcomes.every(({ code }) => code === 'reserved'));
});

test('units that are always gone again end in unavailable, not in a loop', async () => {
  let borrows = 0;
  const { submit } = setUp({
    reserve: (_sale, _at, batch) => Promise.resolve(batch.map(() => ({ code: 'shardEmpty' }))),
    borrow: () => {
      borrows++;
      return Promise.resolve({ moved: 1, held: 0, changes: 1 });
    },
  });
  assert.equal((await submit().outcome).code, 'unavailable');
  assert.equal(borrows, 16);
});

test('sold out is asked once and answered from memory, but never to a purchase that has its unit', async () => {
  let calls = 0;
  let free = 1;
  const { submit, batcher, item, admitted, soldOut } = setUp({
    reserve: (_sale, _at, batch) => {
      calls++;
      return Promise.resolve(
        batch.map((request) => (free-- > 0 ? { code: 'reserved', hold: hold(request) } : { code: 'shardEmpty' })),
      );
    },
    borrow: () => Promise.resolve({ moved: 0, held: 1, changes: 0 }),
  });
  const winner = submit();
  assert.equal((await winner.outcome).code, 'reserved');
  const loser = await submit().outcome;
  assert.equal(loser.code, 'soldOut');
  assert.equal('error' in loser && loser.error.members.held, 1);
  // The loser asks twice: the same purchase may have been admitted elsewhere while it was counted.
  assert.equal(calls, 3);
  // The first look starts reading whom other processes sold to; only then memory may answer.
  admitted.covers(item.sale, soldOut.since(item));
  await new Promise(setImmediate);
  assert.equal(batcher.recallSoldOut(item, 'another', 1)?.code, 'sold_out');
  assert.equal(batcher.recallSoldOut(item, winner.buyer, 1), undefined);
  assert.equal((await submit().outcome).code, 'soldOut');
  assert.equal(calls, 3);
});

test('a borrow that fails says unavailable, never sold out', async () => {
  const { submit, soldOut, item } = setUp({
    reserve: (_sale, _at, batch) => Promise.resolve(batch.map(() => ({ code: 'shardEmpty' }))),
    borrow: () => Promise.reject(new Error('connection lost')),
  });
  assert.equal((await submit().outcome).code, 'unavailable');
  assert.equal(soldOut.recall(item, 1), undefined);
});
