/** What every book of payments must do: one suite, run on PostgreSQL and on the simulated one. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import type { PurchaseReserved } from '@flashsale/sale';
import type { Charge } from './decide-charges.ts';
import type { Book } from './ports.ts';

const name = (): string => `b${randomBytes(8).toString('hex')}`;

function reserved(buyer: string, amountMinor = 100): PurchaseReserved {
  const id = `sale.0.${randomBytes(17).toString('base64url').slice(0, 22)}`;
  const facts = { id, sale: 'sale', sku: 'shoe', quantity: 1, buyer, amountMinor, currency: 'EUR', epoch: 1 };
  return { ...facts, type: 'reserved', correlationId: id, reservedAt: 1, expiresAt: 2 };
}

const charge = ({ sku, quantity, amountMinor, currency }: PurchaseReserved): Charge => ({
  status: 'charged',
  reason: null,
  ...{ sku, quantity, amountMinor, currency },
});

/** Charges a purchase, as often as it is asked to. */
const take = (book: Book, one: PurchaseReserved, opening = 1_000): Promise<void> =>
  book.transaction(async (tx) => {
    await tx.openAndLock(new Map([[one.buyer, 'EUR']]), opening);
    if ((await tx.findCharges([one.id])).has(one.id)) return;
    await tx.writeCharges([one], new Map([[one.id, charge(one)]]));
    await tx.debit(new Map([[one.buyer, one.amountMinor]]));
  });

const creditOf = (book: Book, buyer: string): Promise<number | undefined> =>
  book.transaction(async (tx) => (await tx.lockAccounts([buyer])).get(buyer)?.creditMinor);

/** Declares the suite. `make` is called once; the tests isolate themselves by the names of buyers. */
export function bookContract(title: string, make: () => Promise<Book>): void {
  let made: Promise<Book> | undefined;
  const it = (what: string, body: (book: Book, buyer: string) => Promise<void>): void => {
    test(what, { timeout: 30_000 }, async () => body(await (made ??= make()), name()));
  };
  describe(title, () => {
    it('opens an account once, and sets its credit', async (book, buyer) => {
      assert.equal(await creditOf(book, buyer), undefined);
      await book.transaction((tx) => tx.openAndLock(new Map([[buyer, 'EUR']]), 70));
      await book.transaction((tx) => tx.openAndLock(new Map([[buyer, 'EUR']]), 90));
      assert.equal(await creditOf(book, buyer), 70);
      await book.setCredit([{ buyer, creditMinor: 5 }], 'EUR');
      assert.equal(await creditOf(book, buyer), 5);
    });

    it('charges once, also when two do so at once', async (book, buyer) => {
      const one = reserved(buyer);
      await Promise.all([take(book, one), take(book, one), take(book, one)]);
      assert.equal(await creditOf(book, buyer), 900);
    });

    it('overdraws no account, and keeps nothing of what it refuses', async (book, buyer) => {
      const one = reserved(buyer, 1_001);
      await assert.rejects(take(book, one));
      const found = await book.transaction((tx) => tx.findCharges([one.id]));
      assert.equal(found.size, 0);
    });

    it('writes no charge twice', async (book, buyer) => {
      const one = reserved(buyer);
      await take(book, one);
      const again = book.transaction((tx) => tx.writeCharges([one], new Map([[one.id, charge(one)]])));
      await assert.rejects(again);
    });

    it('gives a charge back once', async (book, buyer) => {
      const one = reserved(buyer);
      await take(book, one);
      const giveBack = (): Promise<number> =>
        book.transaction(async (tx) => {
          await tx.lockAccounts([buyer]);
          return tx.giveBack([one.id], ['why']);
        });
      assert.deepEqual((await Promise.all([giveBack(), giveBack()])).sort(), [0, 1]);
      assert.equal(await creditOf(book, buyer), 1_000);
      const found = await book.transaction((tx) => tx.findCharges([one.id]));
      assert.deepEqual([found.get(one.id)?.status, found.get(one.id)?.reason], ['refunded', 'why']);
    });
  });
}
