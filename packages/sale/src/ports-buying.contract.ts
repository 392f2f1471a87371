/** The sale store's contract: purchases, their endings, borrowing between shards, fencing and loss. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { TOPICS } from './events.ts';
import type { ReserveAnswer } from './ports.ts';
import {
  SHOE,
  HAT,
  freshName,
  warmSale,
  idOf,
  itemAt,
  label,
  ask,
  codes,
  levelOf,
  holdsOf,
  buy,
  assertExact,
} from './ports-fixtures.contract.ts';
import type { Declare } from './ports-fixtures.contract.ts';

export function reserving(it: Declare): void {
  it('reserves units, in the order of the requests, and answers a repetition with the same hold', async (store) => {
    const sale = await warmSale(store);
    const before = await store.time();
    const [first, second] = await store.reserve(sale, itemAt(sale), [ask(sale, 1), ask(sale, -2)]);
    assert.deepEqual(codes([first, second] as ReserveAnswer[]), ['reserved', 'reserved']);
    assert.ok((first?.hold?.expiresAt ?? 0) - before - sale.holdForMs < 5_000);
    assert.deepEqual(
      { ...first?.hold, expiresAt: 0 },
      {
        id: idOf(sale, 0, 'p1'),
        sku: 'shoe',
        quantity: 1,
        buyer: { id: 'buyer-1', number: 1 },
        status: 'reserved',
        expiresAt: 0,
      },
    );
    const again = await store.reserve(sale, itemAt(sale), [ask(sale, -2), ask(sale, 1)]);
    assert.deepEqual(
      again,
      [second, first].map((answer) => ({ ...answer, code: 'replayed' })),
    );
    assert.deepEqual(await store.hold(idOf(sale, 0, 'p1')), first?.hold);
    assert.equal(await store.hold(idOf(sale, 0, 'nobody')), undefined);
    assert.equal(await store.hold('made up'), undefined);
    await assertExact(store, sale);
  });

  it('knows the same purchase and the same buyer also within one batch', async (store) => {
    const sale = await warmSale(store);
    const twice = [
      ask(sale, 1),
      ask(sale, 1),
      ask(sale, 1, { id: 'other' }),
      ask(sale, -3),
      ask(sale, -3, { id: 'more' }),
    ];
    const answers = await store.reserve(sale, itemAt(sale), twice);
    assert.deepEqual(codes(answers), ['reserved', 'replayed', 'limitReached', 'reserved', 'limitReached']);
    assert.deepEqual(answers[1]?.hold, answers[0]?.hold);
    await assertExact(store, sale);
  });

  it('refuses an id that was used with another body', async (store) => {
    const sale = await warmSale(store);
    await store.reserve(sale, itemAt(sale, 0, 'hat'), [ask(sale, 1, { quantity: 2 })]);
    assert.deepEqual(codes(await store.reserve(sale, itemAt(sale, 0, 'hat'), [ask(sale, 1)])), ['keyReused']);
    assert.deepEqual(codes(await store.reserve(sale, itemAt(sale), [ask(sale, 1, { quantity: 2 })])), ['keyReused']);
  });

  it('counts a buyer against the limit, by number and by id, and frees the place', async (store) => {
    const sale = await warmSale(store, { shards: 1 });
    const hats = itemAt(sale, 0, 'hat');
    for (const n of [4, -4, 16_777_216]) {
      const asked = ['a', 'b', 'c'].map((id) => ask(sale, n, { id: `${n}${id}`, quantity: id === 'b' ? 2 : 1 }));
      assert.deepEqual(codes(await store.reserve(sale, hats, asked)), ['reserved', 'reserved', 'limitReached']);
      const shoes = ['d', 'e'].map((id) => ask(sale, n, { id: `${n}${id}` }));
      assert.deepEqual(codes(await store.reserve(sale, itemAt(sale), shoes)), ['reserved', 'limitReached']);
      const refuse = (id: string) => ({ id: idOf(sale, 0, `${n}${id}`), status: 'refused' as const, epoch: 1 });
      await store.release(hats, [refuse('a'), refuse('b')]);
      await store.release(itemAt(sale), [refuse('d')]);
      assert.deepEqual(codes(await store.reserve(sale, itemAt(sale), [ask(sale, n, { id: `${n}f` })])), ['reserved']);
    }
    assert.deepEqual(codes(await store.reserve(sale, hats, [ask(sale, 9, { quantity: 4 })])), ['limitReached']);
    await assertExact(store, sale);
  });

  it('opens and closes by its own clock, and can be paused', async (store) => {
    const sale = await warmSale(store, { opensAt: (await store.time()) + 60 });
    const at = itemAt(sale);
    let early = 0;
    for (let answer = 'notOpen'; answer === 'notOpen'; early++) {
      const before = await store.time();
      [answer = 'none'] = codes(await store.reserve(sale, at, [ask(sale, 1)]));
      const after = await store.time();
      if (answer === 'notOpen') assert.ok(before < sale.opensAt);
      else assert.ok(answer === 'reserved' && after >= sale.opensAt, answer);
    }
    assert.ok(early > 1, 'it was asked before the opening');
    await store.configure({ ...sale, paused: true }, 1);
    assert.deepEqual(codes(await store.reserve(sale, at, [ask(sale, 2), ask(sale, 1)])), ['paused', 'replayed']);
    await store.configure({ ...sale, closesAt: await store.time() }, 1);
    assert.deepEqual(codes(await store.reserve(sale, at, [ask(sale, 2), ask(sale, 1)])), ['closed', 'replayed']);
  });

  it('sells to members only where the sale says so', async (store) => {
    const sale = await warmSale(store, { membersOnly: true });
    await store.admitMembers(sale, [7, 8]);
    const answers = await store.reserve(sale, itemAt(sale), [ask(sale, 7), ask(sale, 9), ask(sale, -7)]);
    assert.deepEqual(codes(answers), ['reserved', 'notEligible', 'notEligible']);
  });

  it('takes no quantity that is not a whole number from 1', async (store) => {
    const sale = await warmSale(store);
    for (const quantity of [0, -1, 0.5, NaN]) {
      await assert.rejects(store.reserve(sale, itemAt(sale), [ask(sale, 1, { quantity })]), RangeError);
    }
    assert.deepEqual(await store.reserve(sale, itemAt(sale), []), []);
    await assertExact(store, sale);
  });
}

export function ending(it: Declare): void {
  it('ends a hold once: the first ending counts', async (store) => {
    const sale = await warmSale(store);
    const at = itemAt(sale);
    await store.reserve(
      sale,
      at,
      [1, 2, 3, 4].map((n) => ask(sale, n)),
    );
    const [a, b, c, d] = [1, 2, 3, 4].map((n) => idOf(sale, 0, label(n))) as [string, string, string, string];
    const settle = (id: string) => store.settle(at, [{ id, epoch: 1 }]);
    const release = (id: string, status: 'refused' | 'expired' | 'refunded') =>
      store.release(at, [{ id, status, epoch: 1 }]);
    assert.deepEqual(await settle(a), [{ code: 'done', status: 'paid' }]);
    assert.deepEqual(await settle(a), [{ code: 'already', status: 'paid' }]);
    assert.deepEqual(await release(a, 'refused'), [{ code: 'otherwise', status: 'paid' }]);
    assert.deepEqual(await release(b, 'refused'), [{ code: 'done', status: 'refused' }]);
    assert.deepEqual(await release(b, 'refused'), [{ code: 'already', status: 'refused' }]);
    assert.deepEqual(await settle(b), [{ code: 'otherwise', status: 'refused' }]);
    assert.deepEqual(await release(c, 'expired'), [{ code: 'notDue', status: 'reserved' }]);
    assert.deepEqual(await release(a, 'refunded'), [{ code: 'done', status: 'refunded' }]);
    assert.deepEqual(await release(d, 'refunded'), [{ code: 'done', status: 'refunded' }]);
    assert.deepEqual(await settle(d), [{ code: 'otherwise', status: 'refunded' }]);
    assert.deepEqual(await settle(idOf(sale, 0, 'nobody')), [{ code: 'missing' }]);
    assert.deepEqual(await store.settle(itemAt(sale, 0, 'hat'), [{ id: c, epoch: 1 }]), [{ code: 'missing' }]);
    assert.deepEqual(await levelOf(store, sale), { stock: 10, free: 9, held: 1, sold: 0 });
    const twice = [{ id: c, status: 'refused' as const, epoch: 1 }];
    assert.deepEqual(codes(await store.release(at, [...twice, ...twice])), ['done', 'already']);
    assert.equal((await store.hold(c))?.status, 'refused');
    await assertExact(store, sale);
  });

  it('finds holds past their time, ends them, tells the relay, and a late refund frees nothing twice', async (store) => {
    const sale = await warmSale(store, { holdForMs: 5 });
    const at = itemAt(sale);
    const [reserved, settled] = await store.reserve(sale, at, [ask(sale, 1), ask(sale, 2)]);
    assert.ok(reserved?.hold && settled?.hold);
    const [id, paid] = [reserved.hold.id, settled.hold.id];
    assert.deepEqual(codes(await store.settle(at, [{ id: paid, epoch: 1 }])), ['done']);
    while ((await store.due(sale.name, 0, 10)).length === 0) assert.ok((await store.time()) < sale.closesAt);
    assert.deepEqual(await store.due(sale.name, 0, 10), [{ id, sku: 'shoe' }]);
    assert.deepEqual(await store.release(at, [{ id, status: 'expired', epoch: 1 }]), [
      { code: 'done', status: 'expired' },
    ]);
    assert.deepEqual(await store.due(sale.name, 0, 10), []);
    const last = (await store.readOutbox(sale.name, 0, 'r', 10, 0)).at(-1);
    assert.equal(last?.topic, TOPICS.payments);
    const { at: when, ...event } = last.events[0] as { at: number };
    assert.ok(when >= reserved.hold.expiresAt);
    const facts = { sale: sale.name, sku: 'shoe', quantity: 1, buyer: 'buyer-1', buyerNumber: 1, amountMinor: 12_900 };
    const rest = { currency: 'EUR', epoch: 1, correlationId: 'c-1', type: 'expired', reason: 'not paid in time' };
    assert.deepEqual(event, { id, ...facts, ...rest });
    assert.deepEqual(codes(await store.release(at, [{ id, status: 'refunded', epoch: 1 }])), ['done']);
    await assertExact(store, sale);
    assert.equal((await levelOf(store, sale)).free, 9);
  });
}

export function borrowing(it: Declare): void {
  it('finds a unit wherever it is, and says empty only when every shard is', async (store) => {
    const sale = await warmSale(store, { shards: 4, items: [{ ...HAT, stock: 6 }] });
    const at = itemAt(sale, 3, 'hat');
    // Shard 3 has one unit, and no other has three: the units of a purchase come from several shards.
    assert.equal(await buy(store, sale, at, ask(sale, 1, { shard: 3, quantity: 3 })), 'reserved');
    assert.equal(await buy(store, sale, at, ask(sale, 2, { shard: 3, quantity: 2 })), 'reserved');
    assert.partialDeepStrictEqual(await store.borrow(sale, at, 2), { moved: 0, held: 5 });
    assert.equal(await buy(store, sale, at, ask(sale, 3, { shard: 3 })), 'reserved');
    const none = await store.borrow(sale, at, 1);
    assert.partialDeepStrictEqual(none, { moved: 0, held: 6 });
    assert.deepEqual(await store.borrow(sale, at, 1), none);
    await store.release(at, [{ id: idOf(sale, 3, 'p2'), status: 'refused', epoch: 1 }]);
    assert.equal(await buy(store, sale, itemAt(sale, 0, 'hat'), ask(sale, 4, { quantity: 2 })), 'reserved');
    const later = await store.borrow(sale, at, 1);
    assert.partialDeepStrictEqual(later, { moved: 0, held: 6 });
    assert.notEqual(later.changes, none.changes);
    await assertExact(store, sale);
  });

  it('sells every unit once to buyers who all come at once to any shard', async (store) => {
    const runs = fc.asyncProperty(
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 0, max: 12 }),
      fc.array(fc.record({ shard: fc.nat(4), quantity: fc.integer({ min: 1, max: 2 }) }), {
        minLength: 1,
        maxLength: 24,
      }),
      async (shards, stock, buyers) => {
        const sale = await warmSale(store, { shards, items: [{ ...HAT, stock }] });
        const answers = await Promise.all(
          buyers.map(({ shard, quantity }, n) => {
            const home = shard % shards;
            return buy(store, sale, itemAt(sale, home, 'hat'), ask(sale, n, { shard: home, quantity }));
          }),
        );
        await assertExact(store, sale);
        const { free } = await levelOf(store, sale, 'hat');
        answers.forEach((answer, n) => {
          assert.ok(answer === 'reserved' || answer === 'soldOut', answer);
          // Nothing comes back in this test, so who was told empty must still find it too little.
          if (answer === 'soldOut') assert.ok(free < (buyers[n]?.quantity ?? 0), `${free} free`);
        });
        await store.purge(sale);
      },
    );
    await fc.assert(runs, { numRuns: 25 });
  });
}

export function fencing(it: Declare): void {
  it('refuses an epoch that is not the shard’s', async (store) => {
    const sale = await warmSale(store, { epoch: 3 });
    const at = itemAt(sale);
    const reserve = (epoch: number) => store.reserve({ ...sale, epoch }, at, [ask(sale, 1)]);
    assert.deepEqual(
      [...codes(await reserve(2)), ...codes(await reserve(4)), ...codes(await reserve(3))],
      ['wrongEpoch', 'wrongEpoch', 'reserved'],
    );
    const id = idOf(sale, 0, 'p1');
    assert.deepEqual(await store.settle(at, [{ id, epoch: 4 }]), [{ code: 'wrongEpoch' }]);
    assert.deepEqual(await store.release(at, [{ id, status: 'refused', epoch: 4 }]), [{ code: 'wrongEpoch' }]);
    await assert.rejects(store.borrow({ ...sale, epoch: 2 }, at, 1), { code: 'try_again_later' });
    await assert.rejects(store.configure(sale, 2), { code: 'try_again_later' });
    await assert.rejects(store.close(sale.name, 2, 2), { code: 'try_again_later' });
    assert.deepEqual(codes(await store.settle(at, [{ id, epoch: 2 }])), ['done']);
    await assertExact(store, sale);
  });

  it('fails closed when any of its data is lost, and never loads it by itself', async (store, { keysOf, lose }) => {
    const probe = await warmSale(store, { shards: 1, membersOnly: true, items: [SHOE] });
    for (const gone of await keysOf(probe.name)) {
      const sale = await warmSale(store, { shards: 1, membersOnly: true, items: [SHOE] });
      await store.admitMembers(sale, [1, 2]);
      await store.reserve(sale, itemAt(sale), [ask(sale, 1)]);
      const key = gone.replace(probe.name, sale.name);
      await lose(key);
      assert.deepEqual(codes(await store.reserve(sale, itemAt(sale), [ask(sale, 2)])), ['notWarm'], key);
      if (!key.endsWith(':eligible')) {
        assert.equal(await store.inspect(sale), undefined, key);
        await assert.rejects(store.borrow(sale, itemAt(sale), 1), { code: 'try_again_later' }, key);
        const ended = await store.release(itemAt(sale), [{ id: idOf(sale, 0, 'p1'), status: 'refused', epoch: 1 }]);
        assert.deepEqual(ended, [{ code: 'notWarm' }], key);
      }
    }
    const never = { ...probe, name: freshName() };
    assert.deepEqual(codes(await store.reserve(never, itemAt(never), [ask(never, 1)])), ['notWarm']);
    assert.deepEqual(await store.settle(itemAt(never), [{ id: idOf(never, 0, 'p1'), epoch: 1 }]), [
      { code: 'notWarm' },
    ]);
    assert.equal(await store.inspect(never), undefined);
    assert.deepEqual(await store.readOutbox(never.name, 0, 'r', 1, 0), []);
    assert.deepEqual(await holdsOf(store, never), []);
  });
}
