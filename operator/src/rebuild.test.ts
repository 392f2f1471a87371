/** What a rebuilt sale starts with, from any mixture of log and ledger. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TOPICS, type LedgerEntry, type PurchaseStatus, type Sale, type SaleEvent } from '@flashsale/sale';
import { holdsFromRecords } from './rebuild.ts';

const NOW = 1_800_000_000_000;
const SALE: Sale = {
  name: 'drop',
  namespace: 'shop',
  opensAt: 0,
  closesAt: 1,
  paused: false,
  notReady: 'Delay',
  items: [{ sku: 'shoe', title: 'Shoe', stock: 9, perBuyer: 1, price: { minor: 100, currency: 'EUR' } }],
  holdForMs: 30_000,
  membersOnly: false,
  warm: { leadTimeMs: 0, shards: 1, cache: { ttlMs: 1000, jitter: 0, pages: 0 } },
  scale: [],
};

const idOf = (label: string, sale = 'drop', shard = 0): string => `${sale}.${shard}.${label.padEnd(22, '_')}`;
const labelOf = (hold: { id: string }): string => hold.id.slice(-22).replaceAll('_', '');

const facts = (id: string, sale = 'drop') => ({
  id: idOf(id, sale),
  sale,
  sku: 'shoe',
  quantity: 1,
  buyer: `buyer of ${id}`,
  amountMinor: 100,
  currency: 'EUR',
  epoch: 3,
  correlationId: 'c',
});
const reserved = (id: string, sale?: string): SaleEvent => ({
  ...facts(id, sale),
  type: 'reserved',
  reservedAt: NOW,
  expiresAt: NOW,
});
const resolved = (id: string, type: Exclude<PurchaseStatus, 'reserved'>): SaleEvent => ({
  ...facts(id),
  type,
  at: NOW,
});
const entry = (id: string, status: PurchaseStatus): LedgerEntry => ({ ...facts(id), status, reservedAt: NOW });

async function* each<T>(list: readonly T[]): AsyncGenerator<T> {
  for (const item of list) yield await Promise.resolve(item);
}

function rebuilt(purchases: SaleEvent[], payments: SaleEvent[], entries: LedgerEntry[]) {
  const log = { readAll: (topic: string) => each(topic === TOPICS.purchases ? purchases : payments) };
  return holdsFromRecords(SALE, { log, ledger: { entries: () => each(entries) } }, NOW);
}

test('what is sold is as much as the ledger says, whatever its key asked for since', async () => {
  const { holds } = await rebuilt(
    [reserved('a'), { ...reserved('a'), quantity: 2 }],
    [resolved('a', 'paid')],
    [entry('a', 'paid')],
  );
  assert.deepEqual(
    holds.map(({ status, quantity }) => [status, quantity]),
    [['paid', 1]],
  );
});

test('a purchase without an ending becomes a hold with its full time, an ended one keeps its ending', async () => {
  const { holds, epoch } = await rebuilt(
    [reserved('a'), reserved('b'), reserved('c'), reserved('d'), reserved('e'), reserved('x', 'another')],
    [resolved('b', 'refused'), resolved('c', 'paid'), resolved('e', 'expired')],
    [entry('a', 'paid'), entry('d', 'refunded'), entry('c', 'reserved')],
  );
  const statuses = Object.fromEntries(holds.map((hold) => [labelOf(hold), hold.status]));
  // c is paid in the log only: the ledger has yet to confirm it, so it must not expire now.
  assert.deepEqual(statuses, { a: 'paid', b: 'refused', c: 'reserved', d: 'refunded', e: 'expired' });
  assert.ok(holds.every((hold) => hold.expiresAt === NOW + SALE.holdForMs));
  assert.equal(epoch, 3);
});

test('an event that no consumer takes does not keep the others from coming back', async () => {
  const unsound: SaleEvent[] = [
    { ...reserved('b'), id: 'drop.1.b' },
    { ...reserved('c'), id: idOf('c', 'drop', 1) },
    { ...reserved('d'), sku: 'hat' },
    { ...reserved('e'), quantity: 0 },
  ];
  const { holds } = await rebuilt([...unsound, reserved('a')], [], []);
  assert.deepEqual(holds.map(labelOf), ['a']);
});

test('an ending in the ledger always wins, and nothing is counted twice, in whatever order the log repeats itself', async () => {
  const ending = fc.constantFrom('paid', 'refused', 'expired', 'refunded' as const);
  const row = fc.record({
    id: fc.constantFrom('a', 'b', 'c', 'd'),
    logged: fc.array(ending),
    ledger: fc.option(ending),
  });
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(row, { selector: (r) => r.id }), fc.boolean(), async (rows, twice) => {
      const purchases = rows.map((r) => reserved(r.id));
      const payments = rows.flatMap((r) => r.logged.map((type) => resolved(r.id, type)));
      const entries = rows.flatMap((r) => (r.ledger === null ? [] : [entry(r.id, r.ledger)]));
      const { holds } = await rebuilt(twice ? [...purchases, ...purchases] : purchases, payments, entries);
      assert.equal(holds.length, rows.length);
      for (const { id, ledger } of rows) {
        const status = holds.find((hold) => labelOf(hold) === id)?.status;
        if (ledger !== null) assert.equal(status, ledger);
        else assert.notEqual(status, 'paid', 'only the ledger confirms a sale');
      }
    }),
  );
});
