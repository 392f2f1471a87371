/** The judgement of the proof: a sound sale holds, and each planted fault is found by its name. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Hold, LedgerEntry, PurchaseStatus, Sale, SaleEvent } from '@flashsale/sale';
import { judge, type Evidence } from './proof.ts';

const NOW = 1_800_000_000_000;
const SALE: Sale = {
  name: 'drop',
  namespace: 'shop',
  opensAt: NOW - 60_000,
  closesAt: NOW + 60_000,
  paused: false,
  notReady: 'Delay',
  items: [{ sku: 'shoe', title: 'Shoe', stock: 3, perBuyer: 1, price: { minor: 100, currency: 'EUR' } }],
  holdForMs: 30_000,
  membersOnly: false,
  warm: { leadTimeMs: 0, shards: 1, cache: { ttlMs: 1000, jitter: 0, pages: 0 } },
  scale: [],
};

interface Row {
  readonly id: string;
  readonly buyer: string;
  /** Status in Redis, in the ledger, and events in the log. Absent: not there. */
  readonly redis?: PurchaseStatus;
  readonly ledger?: PurchaseStatus;
  readonly log?: readonly SaleEvent['type'][];
  readonly expiresAt?: number;
}

const PAID: Row = { id: 'drop.0.a', buyer: 'ann', redis: 'paid', ledger: 'paid', log: ['reserved', 'paid'] };
const REFUSED: Row = {
  id: 'drop.0.b',
  buyer: 'bob',
  redis: 'refused',
  ledger: 'refused',
  log: ['reserved', 'refused'],
};
const WAITING: Row = {
  id: 'drop.0.c',
  buyer: 'cat',
  redis: 'reserved',
  ledger: 'reserved',
  log: ['reserved'],
  expiresAt: NOW + 1000,
};

/** Evidence of three stores that agree about `rows`, except for what `change` plants. */
function evidence(rows: readonly Row[], change: (found: Evidence) => Partial<Evidence> = () => ({})): Evidence {
  const expiry = (row: Row): number => row.expiresAt ?? NOW - 1000;
  const inRedis = (status: PurchaseStatus): number => rows.filter((row) => row.redis === status).length;
  const held = inRedis('reserved');
  const sold = inRedis('paid');
  const hold = (row: Row, status: PurchaseStatus): [string, Hold] => [
    row.id,
    { id: row.id, sku: 'shoe', quantity: 1, buyer: { id: row.buyer }, status, expiresAt: expiry(row) },
  ];
  const entry = (row: Row, status: PurchaseStatus): [string, LedgerEntry] => [
    row.id,
    {
      id: row.id,
      sale: 'drop',
      sku: 'shoe',
      buyer: row.buyer,
      quantity: 1,
      status,
      amountMinor: 100,
      currency: 'EUR',
      reservedAt: NOW,
    },
  ];
  const found: Evidence = {
    now: NOW,
    inspection: { epoch: 1, outbox: 0, items: new Map([['shoe', { stock: 3, free: 3 - held - sold, held, sold }]]) },
    holds: new Map(rows.flatMap((row) => (row.redis ? [hold(row, row.redis)] : []))),
    log: new Map(
      rows.flatMap((row) => (row.log ? [[row.id, { types: new Set(row.log), expiresAt: expiry(row) }]] : [])),
    ),
    entries: new Map(rows.flatMap((row) => (row.ledger ? [entry(row, row.ledger)] : []))),
    totals: [{ sku: 'shoe', allocated: 3, sold: rows.filter((row) => row.ledger === 'paid').length }],
    steady: { redis: true, ledger: true },
  };
  return { ...found, ...change(found) };
}

test('a sound sale holds, with a purchase still in payment', () => {
  const proof = judge(SALE, evidence([PAID, REFUSED, WAITING]));
  assert.deepEqual(proof, {
    sale: 'drop',
    stock: 3,
    free: 1,
    held: 1,
    sold: 1,
    refunded: 0,
    oversold: 0,
    doubleBuyers: 0,
    unsettled: 0,
    holds: true,
    problems: [],
  });
});

test('an oversell in the ledger is found and counted', () => {
  const rows = ['a', 'b', 'c', 'd'].map((name) => ({ ...PAID, id: `drop.0.${name}`, buyer: name }));
  const proof = judge(SALE, evidence(rows));
  assert.equal(proof.holds, false);
  assert.equal(proof.oversold, 1);
  assert.ok(proof.problems.includes('the ledger has 1 more units sold than were on sale'));
});

test('a buyer over his limit is found', () => {
  const proof = judge(SALE, evidence([PAID, { ...PAID, id: 'drop.0.z' }]));
  assert.equal(proof.doubleBuyers, 1);
  assert.equal(proof.holds, false);
});

test('an order that was paid for and is not in the ledger is found', () => {
  const { ledger, ...lost } = PAID;
  const proof = judge(SALE, evidence([lost]));
  assert.equal(proof.holds, false);
  assert.ok(proof.problems.some((text) => text.startsWith('drop.0.a: paid for in the log but missing in the ledger')));
});

test('a hold past its time without an ending is found', () => {
  const proof = judge(SALE, evidence([{ ...WAITING, expiresAt: NOW - 60_000 }]));
  assert.equal(proof.unsettled, 1);
  assert.equal(proof.holds, false);
});

test('a sale in the ledger that Redis or the log knows nothing of is found', () => {
  const proof = judge(SALE, evidence([{ id: 'drop.0.x', buyer: 'eve', ledger: 'paid' }]));
  assert.ok(proof.problems.includes('drop.0.x: sold in the ledger but not in Redis'));
  assert.ok(proof.problems.includes('drop.0.x: sold in the ledger without a payment in the log'));
});

test('counters that differ from what they count are found, unless they moved while they were read', () => {
  const bent = (steady: boolean) => (found: Evidence) => ({
    totals: [{ sku: 'shoe', allocated: 3, sold: 2 }],
    inspection: { epoch: 1, outbox: 0, items: new Map([['shoe', { stock: 3, free: 2, held: 1, sold: 0 }]]) },
    steady: { redis: steady, ledger: steady },
    holds: found.holds,
  });
  const steady = judge(SALE, evidence([PAID], bent(true)));
  assert.equal(steady.problems.length, 3);
  assert.equal(judge(SALE, evidence([PAID], bent(false))).holds, true);
});

test('broken conservation and lost stock are found', () => {
  const leak = judge(
    SALE,
    evidence([], () => ({
      inspection: { epoch: 1, outbox: 0, items: new Map([['shoe', { stock: 3, free: 2, held: 0, sold: 0 }]]) },
    })),
  );
  assert.deepEqual(leak.problems, ['shoe: free + held + sold is not the stock of 3']);
  const lost = judge(
    SALE,
    evidence([], () => ({ inspection: undefined })),
  );
  assert.equal(lost.holds, false);
});
