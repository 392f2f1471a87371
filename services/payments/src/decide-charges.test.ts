import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PurchaseReserved } from '@flashsale/sale';
import fc from 'fast-check';
import { decideCharges, type Account, type Charge } from './decide-charges.ts';

const purchase = (id: string, buyer: string, amountMinor: number, expiresAt = 100): PurchaseReserved => ({
  type: 'reserved',
  id,
  sale: 'drop',
  sku: 'shoe',
  quantity: 1,
  buyer,
  amountMinor,
  currency: 'EUR',
  epoch: 1,
  correlationId: id,
  reservedAt: 0,
  expiresAt,
});
const charged: Charge = {
  status: 'charged',
  reason: null,
  sku: 'shoe',
  quantity: 1,
  amountMinor: 60,
  currency: 'EUR',
};
const account = (buyer: string, creditMinor: number, currency = 'EUR'): [string, Account] => [
  buyer,
  { buyer, creditMinor, currency },
];

test('each purchase of a buyer sees the credit that the ones before it left', () => {
  const batch = [purchase('1', 'ann', 60), purchase('2', 'ann', 50), purchase('3', 'ann', 40), purchase('4', 'bob', 1)];
  const { charges, debits, fresh } = decideCharges(batch, new Map([account('ann', 100)]), new Map(), 0);
  const statuses = [...charges].map(([id, charge]) => [id, charge.status, charge.reason]);
  assert.deepEqual(statuses, [
    ['1', 'charged', null],
    ['2', 'refused', 'insufficient credit'],
    ['3', 'charged', null],
    ['4', 'refused', 'no account'],
  ]);
  assert.deepEqual([...debits], [['ann', 100]]);
  assert.equal(fresh.length, 4);
});

test('what is in the book stands, also past its time; what is not and is overdue has no outcome', () => {
  const known = new Map<string, Charge>([['1', { ...charged, status: 'refunded', reason: 'sold out' }]]);
  const batch = [purchase('1', 'ann', 60, 10), purchase('2', 'ann', 60, 10), purchase('3', 'ann', 60, 11)];
  const { charges, fresh } = decideCharges(batch, new Map([account('ann', 100)]), known, 10);
  assert.deepEqual([...charges.keys()], ['1', '3']);
  assert.equal(charges.get('1')?.status, 'refunded');
  assert.deepEqual(
    fresh.map(({ id }) => id),
    ['3'],
  );
});

test('a charge for something else differs, in whichever part; one from before goods were noted, by its amount alone', () => {
  const again = [purchase('1', 'ann', 60)];
  const isDiffering = (change: Partial<Charge>): boolean =>
    decideCharges(again, new Map(), new Map([['1', { ...charged, ...change }]]), 0).differing.has('1');
  assert.equal(isDiffering({}), false);
  for (const change of [{ sku: 'boot' }, { quantity: 2 }, { amountMinor: 59 }, { currency: 'USD' }]) {
    assert.equal(isDiffering(change), true);
    assert.equal(isDiffering({ ...change, status: 'refused' }), false, 'nothing to give back');
  }
  assert.equal(isDiffering({ sku: null, quantity: null }), false);
  assert.equal(isDiffering({ sku: null, quantity: null, amountMinor: 120 }), true);
});

test('an account in another currency is not charged', () => {
  const { charges, debits } = decideCharges(
    [purchase('1', 'ann', 60)],
    new Map([account('ann', 100, 'USD')]),
    new Map(),
    0,
  );
  assert.deepEqual(charges.get('1'), { ...charged, status: 'refused', reason: 'the account is in USD' });
  assert.equal(debits.size, 0);
});

test('nobody is overdrawn, and nobody is refused who could have paid', () => {
  const buyers = ['ann', 'bob'];
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(20), fc.constantFrom(...buyers), fc.nat(50)), { maxLength: 30 }),
      fc.tuple(fc.nat(200), fc.nat(200)),
      (drawn, credits) => {
        const batch = drawn.map(([id, buyer, amount]) => purchase(`${id}`, buyer, amount));
        const accounts = new Map(buyers.map((buyer, i) => account(buyer, credits[i] ?? 0)));
        const { charges, debits } = decideCharges(batch, accounts, new Map(), 0);
        const left = new Map(buyers.map((buyer, i) => [buyer, credits[i] ?? 0]));
        const seen = new Set<string>();
        for (const { id, buyer, amountMinor } of batch) {
          if (seen.has(id)) continue;
          seen.add(id);
          const credit = left.get(buyer) ?? 0;
          assert.equal(charges.get(id)?.status, credit >= amountMinor ? 'charged' : 'refused');
          if (credit >= amountMinor) left.set(buyer, credit - amountMinor);
        }
        for (const [i, buyer] of buyers.entries()) {
          assert.equal((credits[i] ?? 0) - (debits.get(buyer) ?? 0), left.get(buyer));
        }
      },
    ),
  );
});
