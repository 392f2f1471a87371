/** What may be sold of each item: set by the operator, guarded by the schema. */
import type { LedgerTotals } from '@flashsale/sale';
import type { PrismaClient } from './generated/prisma/client.ts';
import { guardOf } from './ledger.ts';
import type { AllocatedItem } from './ports.ts';

/** Sets the allocation of a sale's items, all or none. False where one of them has sold more than that already. */
export async function allocate(db: PrismaClient, sale: string, items: readonly AllocatedItem[]): Promise<boolean> {
  try {
    await db.$executeRaw`
      INSERT INTO allocations (sale, sku, allocated, per_buyer)
      SELECT ${sale}, sku, allocated, per_buyer
      FROM unnest(
        ${items.map((item) => item.sku)}::text[],
        ${items.map((item) => item.allocated)}::bigint[],
        ${items.map((item) => item.perBuyer)}::int[]
      ) AS u (sku, allocated, per_buyer)
      ORDER BY sku COLLATE "C"
      ON CONFLICT (sale, sku) DO UPDATE SET allocated = excluded.allocated, per_buyer = excluded.per_buyer`;
    return true;
  } catch (error) {
    if (guardOf(error) === 'sold_within_allocation') return false;
    throw error;
  }
}

/** The guard's own counters; empty where the sale was never allocated. */
export async function totals(db: PrismaClient, sale: string): Promise<LedgerTotals[]> {
  return await db.$queryRaw<LedgerTotals[]>`
    SELECT sku, allocated::float8 AS allocated, sold::float8 AS sold FROM allocations WHERE sale = ${sale} ORDER BY sku`;
}

/** Items of one page of `sales`. */
const PAGE = 1_000;

/** Every item that was ever allocated, page by page along the primary key. */
export async function* sales(db: PrismaClient): AsyncGenerator<{ readonly sale: string; readonly sku: string }> {
  let after = { sale: '', sku: '' };
  for (;;) {
    const rows = await db.$queryRaw<{ sale: string; sku: string }[]>`
      SELECT sale, sku FROM allocations WHERE (sale, sku) > (${after.sale}, ${after.sku}) ORDER BY sale, sku LIMIT ${PAGE}`;
    yield* rows;
    const last = rows.at(-1);
    if (!last || rows.length < PAGE) return;
    after = last;
  }
}
