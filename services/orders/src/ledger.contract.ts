/** What every ledger must do: one suite, run on PostgreSQL and on the simulated one. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import type { PurchaseReserved } from '@flashsale/sale';
import { GuardRefused, NotAllocated, type LedgerBook, type LedgerView } from './ports.ts';

type Ledger = LedgerBook & LedgerView;

const freshName = (): string => `s${randomBytes(6).toString('hex')}`;

function reserved(sale: string, buyer: string, reservedAt = 1_000): PurchaseReserved {
  const id = `${sale}.0.${randomBytes(17).toString('base64url').slice(0, 22)}`;
  const facts = { id, sale, sku: 'shoe', quantity: 1, buyer, amountMinor: 500, currency: 'EUR', epoch: 1 };
  return { ...facts, type: 'reserved', correlationId: id, reservedAt, expiresAt: reservedAt + 1 };
}

async function entriesOf(ledger: Ledger, sale: string): Promise<string[]> {
  const all: string[] = [];
  for await (const { id } of ledger.entries(sale)) all.push(id);
  return all;
}

/** Declares the suite. `make` is called once; the tests isolate themselves by sale names. */
export function ledgerContract(name: string, make: () => Promise<Ledger>): void {
  let made: Promise<Ledger> | undefined;
  const it = (title: string, body: (ledger: Ledger, sale: string) => Promise<void>): void => {
    test(title, { timeout: 30_000 }, async () => body(await (made ??= make()), freshName()));
  };
  const sell = (ledger: Ledger, purchases: readonly PurchaseReserved[]): Promise<void> =>
    ledger.transaction(async (tx) => {
      await tx.note(purchases);
      await tx.countSold(purchases.map((facts) => ({ facts, units: facts.quantity })));
    });
  describe(name, () => {
    it('notes a purchase once, with the earliest time, and reads it back', async (ledger, sale) => {
      const one = reserved(sale, 'ann', 2_000);
      await ledger.note([{ ...one, type: 'paid', at: 3_000 }]);
      await ledger.note([one, one]);
      await ledger.note([{ ...one, reservedAt: 2_500 }]);
      const entry = await ledger.entry(one.id);
      assert.deepEqual([entry?.status, entry?.reservedAt, entry?.buyer], ['reserved', 2_000, 'ann']);
      assert.equal(await ledger.entry(`${sale}.0.nobody`), undefined);
      assert.deepEqual(await entriesOf(ledger, sale), [one.id]);
    });

    it('admits an event once, and nothing of a transaction that throws is kept', async (ledger, sale) => {
      const one = reserved(sale, 'ann');
      const admit = () => ledger.transaction((tx) => tx.admit([`${one.id}:paid`, `${one.id}:paid`]));
      const failed = ledger.transaction(async (tx) => {
        await tx.admit([`${one.id}:paid`]);
        await tx.note([one]);
        throw new Error('stop');
      });
      await assert.rejects(failed, /stop/);
      assert.equal(await ledger.entry(one.id), undefined);
      assert.deepEqual([...(await admit())], [`${one.id}:paid`]);
      assert.deepEqual([...(await admit())], []);
    });

    it('guards allocation and limit, and writes nothing of what they refuse', async (ledger, sale) => {
      const [ann, bob, cid] = ['ann', 'bob', 'cid'].map((buyer) => reserved(sale, buyer)) as [
        PurchaseReserved,
        PurchaseReserved,
        PurchaseReserved,
      ];
      await assert.rejects(sell(ledger, [ann]), NotAllocated);
      assert.equal(await ledger.allocate(sale, [{ sku: 'shoe', allocated: 2, perBuyer: 1 }]), true);
      await sell(ledger, [ann]);
      await assert.rejects(sell(ledger, [reserved(sale, 'ann')]), { guard: 'buyer_within_limit' });
      await assert.rejects(sell(ledger, [bob, cid]), (error) => error instanceof GuardRefused);
      assert.equal(await ledger.entry(bob.id), undefined);
      assert.deepEqual(await ledger.totals(sale), [{ sku: 'shoe', allocated: 2, sold: 1 }]);
      assert.equal(await ledger.allocate(sale, [{ sku: 'shoe', allocated: 0, perBuyer: 1 }]), false);
      await ledger.transaction((tx) => tx.countSold([{ facts: ann, units: -1 }]));
      assert.deepEqual(await ledger.totals(sale), [{ sku: 'shoe', allocated: 2, sold: 0 }]);
    });

    it('changes status, reason and goods, and keeps the time of an ending', async (ledger, sale) => {
      const one = reserved(sale, 'ann');
      await ledger.note([one]);
      const goods = { ...one, sku: 'hat', quantity: 2, amountMinor: 900 };
      await ledger.transaction((tx) =>
        tx.writeChanges([{ id: one.id, status: 'paid', at: 5_000, reason: null, goods }]),
      );
      const [shown] = await ledger
        .purchasesOf('ann', ['paid'], 100)
        .then((all) => all.filter(({ id }) => id === one.id));
      assert.deepEqual([shown?.sku, shown?.quantity, shown?.amountMinor], ['hat', 2, 900]);
      assert.equal(shown?.resolvedAt?.getTime(), 5_000);
    });

    it('keeps two transactions on one purchase apart', async (ledger, sale) => {
      const one = reserved(sale, 'ann');
      await ledger.note([one]);
      await ledger.allocate(sale, [{ sku: 'shoe', allocated: 5, perBuyer: 5 }]);
      const settle = (): Promise<void> =>
        ledger.transaction(async (tx) => {
          const statuses = await tx.lockStatuses([one.id]);
          if (statuses.get(one.id) === 'paid') return;
          await tx.writeChanges([{ id: one.id, status: 'paid', at: 1, reason: null }]);
          await tx.countSold([{ facts: one, units: 1 }]);
        });
      await Promise.all([settle(), settle(), settle()]);
      assert.deepEqual(await ledger.totals(sale), [{ sku: 'shoe', allocated: 5, sold: 1 }]);
    });
  });
}
