/** Reads the ledger: a buyer's purchases, a sale's entries, one purchase. */
import type { LedgerEntry, PurchaseStatus } from '@flashsale/sale';
import type { PrismaClient } from './generated/prisma/client.ts';
import type { BuyerPurchase, Position } from './ports.ts';

/** What counts as an order: it was paid. One whose money went back stays in the list. */
export const ORDERED: readonly PurchaseStatus[] = ['paid', 'refunded'];

/** At most `limit` purchases of a buyer in one of `statuses`, newest first, after a position. */
export async function purchasesOf(
  db: PrismaClient,
  buyer: string,
  statuses: readonly PurchaseStatus[],
  limit: number,
  after?: Position,
): Promise<BuyerPurchase[]> {
  return await db.$queryRaw<BuyerPurchase[]>`
    SELECT id, sale, sku, quantity, amount_minor::float8 AS "amountMinor", currency, status::text AS status,
      reserved_at AS "reservedAt", resolved_at AS "resolvedAt", reason
    FROM purchases
    WHERE buyer = ${buyer} AND status::text = ANY (${statuses}::text[])
      AND (${after === undefined} OR (reserved_at, id) < (to_timestamp(${after?.reservedAt ?? 0} / 1000.0), ${after?.id ?? ''}))
    ORDER BY reserved_at DESC, id DESC LIMIT ${limit}`;
}

interface EntryRow extends Omit<LedgerEntry, 'buyerNumber'> {
  readonly buyerNumber: number | null;
}

function entryOf({ buyerNumber, ...row }: EntryRow): LedgerEntry {
  return buyerNumber === null ? row : { ...row, buyerNumber };
}

/** Entries of one page of `entries`. */
const PAGE = 1_000;

/** Every purchase of a sale, page by page along the primary key: an id begins with its sale and a dot. */
export async function* entries(db: PrismaClient, sale: string): AsyncGenerator<LedgerEntry> {
  let after = `${sale}.`;
  for (;;) {
    // '/' is the character after '.': the end of the range.
    const rows = await db.$queryRaw<EntryRow[]>`
      SELECT id, sale, sku, buyer, buyer_number::float8 AS "buyerNumber", quantity, status::text AS status,
        amount_minor::float8 AS "amountMinor", currency,
        (extract(epoch FROM reserved_at) * 1000)::float8 AS "reservedAt"
      FROM purchases WHERE id > ${after} AND id < ${`${sale}/`} ORDER BY id LIMIT ${PAGE}`;
    for (const row of rows) yield entryOf(row);
    const last = rows.at(-1);
    if (!last || rows.length < PAGE) return;
    after = last.id;
  }
}

/** Undefined where the ledger has no such purchase. */
export async function entry(db: PrismaClient, id: string): Promise<LedgerEntry | undefined> {
  const rows = await db.$queryRaw<EntryRow[]>`
    SELECT id, sale, sku, buyer, buyer_number::float8 AS "buyerNumber", quantity, status::text AS status,
      amount_minor::float8 AS "amountMinor", currency,
      (extract(epoch FROM reserved_at) * 1000)::float8 AS "reservedAt"
    FROM purchases WHERE id = ${id}`;
  return rows[0] && entryOf(rows[0]);
}
