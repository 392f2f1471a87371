/** The sale store's contract: loading, rebuilding, closing, the outbox, the registry, and anything in any order. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { TOPICS } from './events.ts';
import { Existence } from './existence.ts';
import { keys } from './keys.ts';
import {
  SHOE,
  HAT,
  warmSale,
  idOf,
  itemAt,
  label,
  ask,
  codes,
  levelOf,
  holdsOf,
  buy,
  unitsIn,
  assertExact,
  freshName,
} from './ports-fixtures.contract.ts';
import type { Declare } from './ports-fixtures.contract.ts';
import type { Hold } from './types.ts';

export function operating(it: Declare): void {
  it('loads stock where there is none or an older epoch, and nowhere else', async (store) => {
    const sale = await warmSale(store, { epoch: 2 });
    await store.reserve(sale, itemAt(sale), [ask(sale, 1)]);
    assert.equal(await store.warm(sale, 2), 2);
    assert.equal(await store.warm(sale, 1), 2);
    assert.equal((await levelOf(store, sale)).held, 1);
    assert.equal(await store.warm(sale, 3), 3);
    assert.deepEqual(await levelOf(store, sale), { stock: 10, free: 10, held: 0, sold: 0 });
    assert.deepEqual(await holdsOf(store, sale), []);
  });

  it('survives two who load the same sale at once', async (store) => {
    const sale = await warmSale(store);
    await Promise.allSettled([store.warm(sale, 2), store.warm(sale, 2), store.warm(sale, 2)]);
    assert.equal(await store.warm(sale, 2), 2);
    assert.equal((await store.inspect(sale))?.epoch, 2);
    await assertExact(store, { ...sale, epoch: 2 });
  });

  it('rebuilds exactly what it was given, under a new epoch', async (store) => {
    const sale = await warmSale(store);
    await store.reserve(sale, itemAt(sale), [ask(sale, 50), ask(sale, 51)]);
    const expiresAt = (await store.time()) - 1;
    const given = Array.from({ length: 9 }, (_, n): Hold => {
      const status = (['reserved', 'paid', 'refused', 'expired', 'refunded'] as const)[n % 5] ?? 'paid';
      const { id, buyer } = ask(sale, n % 2 ? n : -n - 1, { shard: n % 2, id: label(n) });
      return { id, buyer, sku: 'shoe', quantity: 1, status, expiresAt };
    });
    await store.rebuild(sale, 2, given);
    const now = { ...sale, epoch: 2 };
    assert.deepEqual(
      await holdsOf(store, now),
      given.toSorted((a, b) => (a.id < b.id ? -1 : 1)),
    );
    await assertExact(store, now);
    assert.equal((await store.inspect(now))?.epoch, 2);
    assert.deepEqual(codes(await store.reserve(sale, itemAt(sale), [ask(sale, 60)])), ['wrongEpoch']);
    // Buyers' places: number 5 holds a unit in shard 1, number 7 was refused.
    const again = [5, 7].map((n) => ask(now, n, { shard: 1, id: `again${n}` }));
    assert.deepEqual(codes(await store.reserve(now, itemAt(now, 1), again)), ['limitReached', 'reserved']);
    assert.deepEqual(
      (await store.due(now.name, 0, 10)).map(({ id }) => id),
      [idOf(now, 0, 'p0')],
    );
    await store.rebuild(sale, 2, []);
    assert.equal((await holdsOf(store, now)).length, 10, 'the same epoch is not rebuilt twice');
    await assert.rejects(store.rebuild(sale, 1, []));
  });

  it('rebuilds a sale of many holds, and one of which a shard is lost', async (store, { keysOf, lose }) => {
    const stock = 1_200;
    const sale = await warmSale(store, { items: [{ ...SHOE, stock }] });
    for (const key of (await keysOf(sale.name)).slice(0, 3)) await lose(key);
    const given = Array.from({ length: 1_100 }, (_, n): Hold => {
      const { id, buyer } = ask(sale, n, { shard: n % 2 });
      return { id, buyer, sku: 'shoe', quantity: 1, status: 'paid', expiresAt: 1 };
    });
    await store.rebuild(sale, 2, given);
    await assertExact(store, { ...sale, epoch: 2 });
    assert.deepEqual(await levelOf(store, sale), { stock, free: 100, held: 0, sold: 1_100 });
  });

  it('raises stock, never lowers it, and closes for good', async (store) => {
    const sale = await warmSale(store);
    await store.configure({ ...sale, items: [{ ...SHOE, stock: 13 }, HAT] }, 1);
    await store.configure({ ...sale, items: [{ ...SHOE, stock: 13 }, HAT] }, 1);
    assert.deepEqual(await levelOf(store, sale), { stock: 13, free: 13, held: 0, sold: 0 });
    await store.configure(sale, 1);
    assert.equal((await levelOf(store, sale)).stock, 13);
    await store.close(sale.name, 2, 1);
    await store.close(sale.name, 2, 1);
    await store.configure(sale, 1);
    assert.deepEqual(codes(await store.reserve(sale, itemAt(sale), [ask(sale, 1)])), ['closed']);
  });

  it('publishes sales under a version that changes', async (store) => {
    const sale = await warmSale(store);
    const version = await store.publishedVersion();
    await store.publish(sale);
    const published = await store.publishedVersion();
    assert.notEqual(published, version);
    const mark = await store.publishedMark();
    assert.ok(mark.version >= published && mark.sales > 0);
    assert.deepEqual(
      (await store.published()).filter((one) => one.name === sale.name),
      [sale],
    );
    await store.unpublish(sale.name);
    assert.notEqual(await store.publishedVersion(), published);
    assert.deepEqual(
      (await store.published()).filter((one) => one.name === sale.name),
      [],
    );
  });

  it('keeps the existence filter byte for byte under a version that changes, until it is lost', async (store, under) => {
    const filter = Existence.of([{ name: freshName(), items: [SHOE] }]);
    filter.bytes.set([0, 0xff, 0x80, 0xc3, 0x28], 0);
    const version = await store.publishedVersion();
    await store.writeExistence(filter.bytes);
    assert.notEqual(await store.publishedVersion(), version);
    assert.deepEqual([...((await store.existence()) ?? [])], [...filter.bytes]);
    assert.equal((await store.publishedMark()).existence, true);
    await under.lose(keys.existence);
    assert.equal(await store.existence(), undefined);
    assert.equal((await store.publishedMark()).existence, false);
  });

  it('removes every key of a sale', async (store, { keysOf }) => {
    const sale = await warmSale(store, { membersOnly: true });
    await store.reserve(sale, itemAt(sale), [ask(sale, 1), ask(sale, -1)]);
    await store.purge(sale);
    assert.deepEqual(await keysOf(sale.name), []);
    assert.equal(await store.inspect(sale), undefined);
  });
}

export function relaying(it: Declare): void {
  it('hands an outbox entry to one relay, again where it was left lying, and never after it was acknowledged', async (store) => {
    const sale = await warmSale(store);
    const [one] = await store.reserve(sale, itemAt(sale), [ask(sale, 1), ask(sale, -2)]);
    await store.reserve(sale, itemAt(sale, 0, 'hat'), [ask(sale, 1, { id: 'hats', quantity: 3 })]);
    assert.equal((await store.inspect(sale))?.outbox, 2);
    const [entry] = await store.readOutbox(sale.name, 0, 'first', 1, 60_000);
    const [next] = await store.readOutbox(sale.name, 0, 'second', 10, 60_000);
    assert.ok(entry && next);
    assert.deepEqual([entry.topic, next.topic], [TOPICS.purchases, TOPICS.purchases]);
    const [event, other] = entry.events as [{ reservedAt: number }, object];
    const { reservedAt, ...rest } = event;
    const facts = { sale: sale.name, sku: 'shoe', quantity: 1, amountMinor: 12_900, currency: 'EUR', epoch: 1 };
    const ofOne = { id: idOf(sale, 0, 'p1'), buyer: 'buyer-1', buyerNumber: 1, correlationId: 'c-1' };
    const expiresAt = one?.hold?.expiresAt ?? 0;
    assert.deepEqual(rest, { ...facts, ...ofOne, type: 'reserved', expiresAt });
    assert.equal(reservedAt, expiresAt - sale.holdForMs);
    const ofTwo = { id: idOf(sale, 0, 'p-2'), buyer: 'anon2', correlationId: 'c--2' };
    assert.deepEqual(other, { ...facts, ...ofTwo, type: 'reserved', expiresAt, reservedAt });
    assert.deepEqual(
      next.events.map(({ quantity, amountMinor }) => [quantity, amountMinor]),
      [[3, 1_500]],
    );
    assert.deepEqual(await store.peekOutbox(sale), [entry, next]);
    assert.deepEqual(await store.readOutbox(sale.name, 0, 'third', 10, 60_000), []);
    assert.deepEqual(await store.readOutbox(sale.name, 0, 'third', 10, Infinity), []);
    assert.deepEqual(await store.readOutbox(sale.name, 0, 'third', 10, 0), [entry, next]);
    await store.acknowledgeOutbox(sale.name, 0, [entry.entryId]);
    assert.deepEqual(await store.readOutbox(sale.name, 0, 'fourth', 10, 0), [next]);
    assert.deepEqual(await store.peekOutbox(sale), [next]);
    assert.equal((await store.inspect(sale))?.outbox, 1);
  });

  it('forgets relays that are silent and hold nothing, and loses no entry by it', async (store) => {
    const sale = await warmSale(store);
    const never = freshName();
    assert.equal(await store.forgetRelays(never, 0, 0), 0);
    for (const [relay, buyer] of [
      ['first', -1],
      ['second', -2],
    ] as const) {
      await store.reserve(sale, itemAt(sale), [ask(sale, buyer)]);
      const [done] = await store.readOutbox(sale.name, 0, relay, 1, Infinity);
      await store.acknowledgeOutbox(sale.name, 0, [done?.entryId ?? '']);
    }
    await store.reserve(sale, itemAt(sale), [ask(sale, 1)]);
    const [entry] = await store.readOutbox(sale.name, 0, 'busy', 1, Infinity);
    assert.equal(await store.forgetRelays(sale.name, 0, 60_000), 0);
    const since = await store.time();
    while ((await store.time()) <= since + 1) {
      // A millisecond or two.
    }
    assert.equal(await store.forgetRelays(sale.name, 0, 0), 2);
    assert.equal(await store.forgetRelays(sale.name, 0, 0), 0);
    assert.deepEqual(await store.readOutbox(sale.name, 0, 'first', 10, 0), [entry]);
  });
}

const step = fc.record({
  kind: fc.constantFrom('buy', 'buy', 'buy', 'settle', 'refused', 'refunded', 'raise', 'rebuild'),
  who: fc.integer({ min: -4, max: 4 }),
  which: fc.nat(12),
  sku: fc.constantFrom('shoe', 'hat'),
  quantity: fc.integer({ min: 1, max: 2 }),
});

export function anything(it: Declare): void {
  it('conserves units and keeps each limit whatever happens', async (store) => {
    const runs = fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      let sale = await warmSale(store, {
        shards: 3,
        items: [
          { ...SHOE, stock: 3 },
          { ...HAT, stock: 5 },
        ],
      });
      for (const { kind, who, which, sku, quantity } of steps) {
        const shard = Math.abs(who) % 3;
        const at = itemAt(sale, shard, sku);
        const request = ask(sale, who === 0 ? 9 : who, { shard, id: `${who}-${which}`, quantity });
        const resolve = { id: request.id, epoch: sale.epoch };
        if (kind === 'buy') await buy(store, sale, at, request);
        else if (kind === 'settle') await store.settle(at, [resolve]);
        else if (kind === 'refused' || kind === 'refunded') await store.release(at, [{ ...resolve, status: kind }]);
        else if (kind === 'raise') {
          sale = { ...sale, items: sale.items.map((item) => ({ ...item, stock: item.stock + quantity })) };
          await store.configure(sale, sale.epoch);
        } else {
          sale = { ...sale, epoch: sale.epoch + 1 };
          await store.rebuild(sale, sale.epoch, await holdsOf(store, sale));
        }
      }
      await assertExact(store, sale);
      const active = (await holdsOf(store, sale)).filter(({ status }) => status === 'reserved' || status === 'paid');
      for (const { sku, perBuyer } of sale.items) {
        const buyers = Map.groupBy(
          active.filter((hold) => hold.sku === sku),
          (hold) => hold.buyer.id,
        );
        for (const [buyer, holds] of buyers) assert.ok(unitsIn(holds, sku, ['reserved', 'paid']) <= perBuyer, buyer);
      }
      await store.purge(sale);
    });
    await fc.assert(runs, { numRuns: 25 });
  });
}
