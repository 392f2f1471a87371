/** The specification itself obeys the promises, whatever is asked of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decidePurchase, decideRelease, decideSettle, dueHolds, levelOf, unitsOf } from './decide.ts';
import type { PurchaseAsked, SaleState } from './decide.ts';
import { conserves } from './purchase.ts';

const OPEN: SaleState = {
  epoch: 1,
  opensAt: 100,
  closesAt: 1000,
  gate: 'open',
  holdForMs: 50,
  members: undefined,
  items: new Map([['shoe', { stock: 2, perBuyer: 1 }]]),
  holds: new Map(),
};
const ask = (id: string, buyer: string, more: Partial<PurchaseAsked> = {}): PurchaseAsked => ({
  id,
  buyer: { id: buyer },
  sku: 'shoe',
  quantity: 1,
  epoch: 1,
  ...more,
});
const after = (...asked: readonly PurchaseAsked[]): SaleState =>
  asked.reduce((state, one) => decidePurchase(state, one, 200)[1], OPEN);
const codeOf = (state: SaleState, asked: PurchaseAsked, now = 200): string => decidePurchase(state, asked, now)[0].code;

test('a purchase holds a unit until its time', () => {
  const [answer, state] = decidePurchase(OPEN, ask('1', 'ann'), 200);
  assert.deepEqual(answer.hold, {
    id: '1',
    sku: 'shoe',
    quantity: 1,
    buyer: { id: 'ann' },
    status: 'reserved',
    expiresAt: 250,
  });
  assert.deepEqual(levelOf(state, 'shoe'), { stock: 2, free: 1, held: 1, sold: 0 });
  assert.deepEqual([dueHolds(state, 249).length, dueHolds(state, 250).length], [0, 1]);
});

test('the gate opens and closes by the clock, to the millisecond', () => {
  assert.deepEqual(
    [99, 100, 999, 1000].map((now) => codeOf(OPEN, ask('1', 'ann'), now)),
    ['notOpen', 'reserved', 'reserved', 'closed'],
  );
  assert.equal(codeOf({ ...OPEN, gate: 'paused' }, ask('1', 'ann')), 'paused');
  assert.equal(codeOf({ ...OPEN, gate: 'closed' }, ask('1', 'ann'), 50), 'closed');
});

test('a repeated purchase gets its hold again, even when the sale is closed, but not with another body', () => {
  const state = { ...after(ask('1', 'ann')), gate: 'closed' as const };
  assert.equal(codeOf(state, ask('1', 'ann')), 'replayed');
  assert.equal(codeOf(state, ask('1', 'ann', { quantity: 2 })), 'keyReused');
  assert.equal(codeOf(state, ask('1', 'ann', { epoch: 2 })), 'wrongEpoch');
});

test('limits, members, stock, missing stock', () => {
  assert.equal(codeOf(after(ask('1', 'ann')), ask('2', 'ann')), 'limitReached');
  assert.equal(codeOf(after(ask('1', 'ann'), ask('2', 'bob')), ask('3', 'cat')), 'soldOut');
  const members = { ...OPEN, members: new Set([7]) };
  assert.equal(codeOf(members, ask('1', 'ann')), 'notEligible');
  assert.equal(codeOf(members, ask('1', 'ann', { buyer: { id: 'ann', number: 7 } })), 'reserved');
  assert.equal(codeOf({ ...OPEN, epoch: undefined }, ask('1', 'ann')), 'notWarm');
  assert.equal(codeOf(OPEN, ask('1', 'ann', { sku: 'hat' })), 'notWarm');
});

test('a hold ends once: the first ending counts, a repetition changes nothing', () => {
  const held = after(ask('1', 'ann'));
  const [paid, sold] = decideSettle(held, 'shoe', { id: '1', epoch: 1 });
  assert.deepEqual(paid, { code: 'done', status: 'paid' });
  assert.deepEqual(decideSettle(sold, 'shoe', { id: '1', epoch: 1 })[0], { code: 'already', status: 'paid' });
  const late = decideRelease(sold, 'shoe', { id: '1', epoch: 1, status: 'expired' }, 900);
  assert.deepEqual(late[0], { code: 'otherwise', status: 'paid' });
  const [back, refunded] = decideRelease(sold, 'shoe', { id: '1', epoch: 1, status: 'refunded' }, 900);
  assert.deepEqual(back, { code: 'done', status: 'refunded' });
  assert.equal(levelOf(refunded, 'shoe').free, 2);
  assert.equal(codeOf(refunded, ask('2', 'ann')), 'reserved');
});

test('nothing expires early, and a late charge given back frees no second unit', () => {
  const held = after(ask('1', 'ann'));
  const expire = { id: '1', epoch: 1, status: 'expired' } as const;
  assert.equal(decideRelease(held, 'shoe', expire, 249)[0].code, 'notDue');
  const expired = decideRelease(held, 'shoe', expire, 250)[1];
  assert.equal(levelOf(expired, 'shoe').free, 2);
  const refunded = decideRelease(expired, 'shoe', { ...expire, status: 'refunded' }, 300)[1];
  assert.equal(levelOf(refunded, 'shoe').free, 2);
});

test('a resolve from a later epoch, of no hold or of another item does nothing', () => {
  const held = after(ask('1', 'ann'));
  assert.equal(decideSettle(held, 'shoe', { id: '1', epoch: 2 })[0].code, 'wrongEpoch');
  assert.equal(decideSettle(held, 'shoe', { id: '9', epoch: 1 })[0].code, 'missing');
  assert.equal(decideSettle(held, 'hat', { id: '1', epoch: 1 })[0].code, 'notWarm');
});

const act = fc.record({
  id: fc.integer({ min: 0, max: 12 }).map(String),
  buyer: fc.constantFrom('ann', 'bob', 'cat', 'dan'),
  sku: fc.constantFrom('shoe', 'hat'),
  quantity: fc.integer({ min: 1, max: 3 }),
  kind: fc.constantFrom(
    'purchase' as const,
    'settle' as const,
    'refused' as const,
    'expired' as const,
    'refunded' as const,
  ),
  later: fc.nat(40),
});

test('units are conserved, and nobody has more than the limit, after every step', () => {
  fc.assert(
    fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
      let now = 100;
      let state: SaleState = {
        ...OPEN,
        items: new Map([
          ['shoe', { stock: 3, perBuyer: 1 }],
          ['hat', { stock: 4, perBuyer: 3 }],
        ]),
      };
      for (const { id, buyer, sku, quantity, kind, later } of acts) {
        now += later;
        if (kind === 'purchase') state = decidePurchase(state, ask(id, buyer, { sku, quantity }), now)[1];
        else if (kind === 'settle') state = decideSettle(state, sku, { id, epoch: 1 })[1];
        else state = decideRelease(state, sku, { id, epoch: 1, status: kind }, now)[1];
        for (const [name, item] of state.items) {
          assert.ok(conserves(levelOf(state, name)));
          for (const who of ['ann', 'bob', 'cat', 'dan']) assert.ok(unitsOf(state, name, who) <= item.perBuyer);
        }
      }
    }),
  );
});
