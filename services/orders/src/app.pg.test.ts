/** The routes of orders on a real PostgreSQL, the internal ones through the Ledger adapter that the operator uses. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { testDatabase } from '@flashsale/local/testing';
import { migrate, openDatabase, type Database } from '@flashsale/platform/database';
import { HttpError, httpPart, internalClient, type HttpPart, type InternalClient } from '@flashsale/platform/http';
import { AllocationRefused, createLedger } from '@flashsale/platform/ledger-http';
import { createLogger } from '@flashsale/platform/log';
import type { LedgerEntry, PurchaseReserved, PurchaseStatus, Sale } from '@flashsale/sale';
import { createOrdersApp } from './app.ts';
import { PrismaClient } from './generated/prisma/client.ts';
import { note, writeChanges } from './ledger.ts';
import { sqlLedger } from './sql-ledger.ts';

const log = createLogger('orders', 'silent');
let db: Database<PrismaClient>;
let http: HttpPart;
let url: string;
let client: InternalClient;

before(async () => {
  const database = await testDatabase();
  await migrate(database, fileURLToPath(new URL('../prisma/migrations', import.meta.url)), log);
  db = openDatabase(PrismaClient, database);
  await db.connect();
  // The token names its buyer; real ones are the business of the platform's own tests.
  const verifier = {
    verify: (token: string) => ({ buyer: { id: token }, roles: [], expiresAt: Infinity }),
    warm: () => Promise.resolve(),
  };
  http = httpPart({ app: createOrdersApp({ ledger: sqlLedger(db), verifier, log }), port: 0, log });
  await http.start?.();
  url = `http://127.0.0.1:${http.port}`;
  client = internalClient(url);
});
after(async () => {
  await http.drain?.();
  await http.stop?.();
  await db.disconnect();
});

const name = (): string => `s${randomBytes(6).toString('hex')}`;

function reserved(sale: string, buyer: string, reservedAt: number): PurchaseReserved {
  const id = `${sale}.0.${randomBytes(17).toString('base64url').slice(0, 22)}`;
  const facts = { id, sale, sku: 'shoe', quantity: 2, buyer, amountMinor: 25_800, currency: 'EUR', epoch: 1 };
  return { ...facts, type: 'reserved', correlationId: id, reservedAt, expiresAt: reservedAt + 1 };
}

interface Page {
  readonly purchases?: readonly Record<string, unknown>[];
  readonly orders?: readonly Record<string, unknown>[];
  readonly next?: string;
}
async function get(path: string, buyer?: string): Promise<{ status: number; body: Page & { code?: string } }> {
  const response = await fetch(
    `${url}${path}`,
    buyer === undefined ? {} : { headers: { Authorization: `Bearer ${buyer}` } },
  );
  return { status: response.status, body: (await response.json()) as Page };
}

test('a buyer sees his own purchases, newest first, page by page, also of the same instant', async () => {
  const sale = name();
  const all = Array.from({ length: 7 }, (_, i) => reserved(sale, 'ann', 1_000 + Math.floor(i / 3)));
  await note(db, [...all, reserved(sale, 'bob', 5_000)]);
  const seen: unknown[] = [];
  let next: string | undefined = '';
  for (let page = 0; page < 4 && next !== undefined; page++) {
    const after = next === '' ? '' : `&after=${encodeURIComponent(next)}`;
    const { body }: { body: Page } = await get(`/api/v1/purchases?limit=3${after}`, 'ann');
    seen.push(...(body.purchases ?? []).map(({ id }) => id));
    next = body.next;
  }
  const newest = all.toSorted((a, b) => b.reservedAt - a.reservedAt || (a.id < b.id ? 1 : -1));
  assert.deepEqual(
    seen,
    newest.map(({ id }) => id),
  );
  assert.equal(next, undefined);
});

test('orders are what was paid; a purchase shows its total as a decimal and its times', async () => {
  const sale = name();
  const statuses: PurchaseStatus[] = ['reserved', 'paid', 'refused', 'expired', 'refunded'];
  const all = statuses.map((_, i) => reserved(sale, 'cid', 1_000 + i));
  await note(db, all);
  await writeChanges(
    db,
    all.map(({ id }, i) => ({
      id,
      status: statuses[i] as PurchaseStatus,
      at: 9_000,
      reason: i === 2 ? 'no credit' : null,
    })),
  );
  const shown = (await get('/api/v1/purchases', 'cid')).body.purchases ?? [];
  assert.deepEqual(shown[2], {
    id: all[2]?.id,
    sale,
    sku: 'shoe',
    quantity: 2,
    status: 'refused',
    total: { amount: '258.00', currency: 'EUR' },
    reservedAt: '1970-01-01T00:00:01.002Z',
    resolvedAt: '1970-01-01T00:00:09.000Z',
    reason: 'no credit',
  });
  assert.equal('resolvedAt' in (shown[4] ?? {}), false);
  const orders = (await get('/api/v1/orders', 'cid')).body.orders ?? [];
  assert.deepEqual(
    orders.map(({ status }) => status),
    ['refunded', 'paid'],
  );
});

test('who is not signed in, or asks for nonsense, is told so', async () => {
  assert.equal((await get('/api/v1/orders')).body.code, 'unauthenticated');
  for (const query of ['limit=0', 'limit=101', 'limit=x', 'after=1', 'after=x~y', "after=1~'--"]) {
    const { status, body } = await get(`/api/v1/purchases?${query}`, 'ann');
    assert.deepEqual([status, body.code], [400, 'invalid_request'], query);
  }
});

test('the ledger over HTTP: allocate, totals, entries of one sale only, across pages', async () => {
  const ledger = createLedger(url);
  const sale = name();
  const items = [{ sku: 'shoe', title: 'Shoe', stock: 5_000, perBuyer: 2, price: { minor: 100, currency: 'EUR' } }];
  assert.deepEqual(await ledger.totals(sale), []);
  await ledger.allocate({ name: sale, items } as unknown as Sale);
  assert.deepEqual(await ledger.totals(sale), [{ sku: 'shoe', allocated: 5_000, sold: 0 }]);

  const all = Array.from({ length: 2_500 }, (_, i) => reserved(sale, `buyer-${i}`, 1_000 + i));
  // Neighbours in the order of keys: their names begin alike.
  const others = [`${sale}-b`, `${sale}0`].map((other) => reserved(other, 'dan', 1));
  await note(db, [...all, ...others]);
  const found: LedgerEntry[] = [];
  for await (const entry of ledger.entries(sale)) found.push(entry);
  const byId = (a: { id: string }, b: { id: string }): number => (a.id < b.id ? -1 : 1);
  assert.deepEqual(
    found,
    all.toSorted(byId).map(({ id, sku, quantity, buyer, amountMinor, currency, reservedAt }) => {
      return { id, sale, sku, buyer, quantity, status: 'reserved', amountMinor, currency, reservedAt };
    }),
  );
  assert.deepEqual(await client.json('GET', `/internal/purchases/${found[0]?.id}`), found[0]);
});

test('the ledger names every item it ever allocated, across pages', async () => {
  const ledger = createLedger(url);
  const [one, two] = [name(), name()];
  const itemsOf = (count: number) => Array.from({ length: count }, (_, n) => ({ sku: `s${n}`, stock: 1, perBuyer: 1 }));
  // 500 items are the most of one allocation, 1,000 the size of a page.
  await ledger.allocate({ name: one, items: itemsOf(500) } as unknown as Sale);
  await ledger.allocate({ name: `${one}-b`, items: itemsOf(499) } as unknown as Sale);
  await ledger.allocate({ name: two, items: itemsOf(2) } as unknown as Sale);
  const found = new Map<string, Set<string>>();
  for await (const { sale, sku } of ledger.sales()) found.set(sale, (found.get(sale) ?? new Set()).add(sku));
  assert.deepEqual(
    [one, `${one}-b`, two].map((sale) => found.get(sale)?.size),
    [500, 499, 2],
  );
});

test('a reader that leaves early harms nobody', async () => {
  const sale = name();
  await note(
    db,
    Array.from({ length: 3_000 }, (_, i) => reserved(sale, `buyer-${i}`, 1)),
  );
  for await (const entry of createLedger(url).entries(sale)) {
    assert.equal(entry.sale, sale);
    break;
  }
  assert.deepEqual(await createLedger(url).totals(sale), []);
});

test('an allocation below what is sold is refused, and a purchase nobody made is not found', async () => {
  const ledger = createLedger(url);
  const sale = name();
  const withStock = (stock: number): Sale =>
    ({ name: sale, items: [{ sku: 'shoe', stock, perBuyer: 1 }] }) as unknown as Sale;
  await ledger.allocate(withStock(5));
  await db.allocation.update({ where: { sale_sku: { sale, sku: 'shoe' } }, data: { sold: 4 } });
  await assert.rejects(ledger.allocate(withStock(3)), AllocationRefused);
  await ledger.allocate(withStock(4));
  assert.deepEqual(await ledger.totals(sale), [{ sku: 'shoe', allocated: 4, sold: 4 }]);
  const isProblem = (status: number, code: string) => (error: unknown) =>
    error instanceof HttpError && error.status === status && error.body.includes(code);
  await assert.rejects(client.json('GET', '/internal/purchases/none'), isProblem(404, 'purchase_not_found'));
  const twice = [1, 2].map((allocated) => ({ sku: 'shoe', allocated, perBuyer: 1 }));
  const path = `/internal/sales/${sale}/allocation`;
  await assert.rejects(client.json('PUT', path, { items: twice }), isProblem(400, 'each sku once'));
});
