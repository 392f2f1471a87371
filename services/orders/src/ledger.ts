/** The ledger's transaction in SQL. One statement a batch, arrays by UNNEST, rows locked in the order of their keys. */
import { violatedConstraint } from '@flashsale/platform/database';
import type { PurchaseFacts, PurchaseReserved, PurchaseResolved, PurchaseStatus } from '@flashsale/sale';
import type { Change, Decisions } from './decide.ts';
import type { PrismaClient } from './generated/prisma/client.ts';
import { GUARDS, NotAllocated, type Guard } from './ports.ts';

/** Longest a transaction may take, and may wait for a connection, in ms. */
export const TRANSACTION = { timeout: 10_000, maxWait: 5_000 } as const;

/** A client, or one inside a transaction. */
export type Transaction = Pick<PrismaClient, '$queryRaw' | '$executeRaw'>;

/** Which guard made a statement fail; undefined where it was something else. */
export function guardOf(error: unknown): Guard | undefined {
  const name = violatedConstraint(error);
  return name !== undefined && name in GUARDS ? (name as Guard) : undefined;
}

/**
 * Notes purchases that are not in the ledger. A resolved event that came ahead of its `reserved` one lends its own
 * time as the time of the reservation, until that one comes.
 */
export async function note(tx: Transaction, events: readonly (PurchaseReserved | PurchaseResolved)[]): Promise<void> {
  const all = [...new Map(events.map((event) => [event.id, event])).values()];
  await tx.$executeRaw`
    INSERT INTO purchases
      (id, sale, sku, buyer, buyer_number, quantity, amount_minor, currency, status, reserved_at, epoch)
    SELECT id, sale, sku, buyer, number, quantity, amount, currency, 'reserved', to_timestamp(at / 1000.0), epoch
    FROM unnest(
      ${all.map((e) => e.id)}::text[],
      ${all.map((e) => e.sale)}::text[],
      ${all.map((e) => e.sku)}::text[],
      ${all.map((e) => e.buyer)}::text[],
      ${all.map((e) => e.buyerNumber ?? null)}::bigint[],
      ${all.map((e) => e.quantity)}::int[],
      ${all.map((e) => e.amountMinor)}::bigint[],
      ${all.map((e) => e.currency)}::text[],
      ${all.map((e) => Math.trunc(e.type === 'reserved' ? e.reservedAt : e.at))}::bigint[],
      ${all.map((e) => e.epoch)}::int[]
    ) AS u (id, sale, sku, buyer, number, quantity, amount, currency, at, epoch)
    ORDER BY id COLLATE "C"
    ON CONFLICT (id) DO UPDATE SET reserved_at = excluded.reserved_at
      WHERE excluded.reserved_at < purchases.reserved_at`;
}

export async function lockStatuses(tx: Transaction, ids: readonly string[]): Promise<Map<string, PurchaseStatus>> {
  const rows = await tx.$queryRaw<{ id: string; status: PurchaseStatus }[]>`
    SELECT id, status::text AS status FROM purchases WHERE id = ANY (${ids}::text[]) ORDER BY id FOR UPDATE`;
  return new Map(rows.map(({ id, status }) => [id, status]));
}

/** Puts events into the inbox and returns the ids of those that were not in it. */
export async function admit(tx: Transaction, eventIds: readonly string[]): Promise<Set<string>> {
  const rows = await tx.$queryRaw<{ id: string }[]>`
    INSERT INTO inbox (event_id) SELECT DISTINCT id FROM unnest(${eventIds}::text[]) AS u (id) ORDER BY id
    ON CONFLICT (event_id) DO NOTHING RETURNING event_id AS id`;
  return new Set(rows.map(({ id }) => id));
}

export async function writeChanges(tx: Transaction, changes: readonly Change[]): Promise<void> {
  if (changes.length === 0) return;
  await tx.$executeRaw`
    UPDATE purchases SET status = u.status::purchase_status, reason = u.reason,
      sku = COALESCE(u.sku, purchases.sku), quantity = COALESCE(u.quantity, purchases.quantity),
      amount_minor = COALESCE(u.amount, purchases.amount_minor), currency = COALESCE(u.currency, purchases.currency),
      resolved_at = CASE u.status WHEN 'reserved' THEN NULL ELSE to_timestamp(u.at / 1000.0) END
    FROM unnest(
      ${changes.map((c) => c.id)}::text[],
      ${changes.map((c) => c.status)}::text[],
      ${changes.map((c) => Math.trunc(c.at))}::bigint[],
      ${changes.map((c) => c.reason)}::text[],
      ${changes.map((c) => c.goods?.sku ?? null)}::text[],
      ${changes.map((c) => c.goods?.quantity ?? null)}::int[],
      ${changes.map((c) => c.goods?.amountMinor ?? null)}::bigint[],
      ${changes.map((c) => c.goods?.currency ?? null)}::text[]
    ) AS u (id, status, at, reason, sku, quantity, amount, currency)
    WHERE purchases.id = u.id`;
}

interface Sum {
  readonly facts: PurchaseFacts;
  readonly units: number;
}

/** Sums the units by a key and leaves out what came to nothing. */
function sums(moved: Decisions['moved'], keyOf: (facts: PurchaseFacts) => readonly string[]): Sum[] {
  const byKey = new Map<string, Sum>();
  for (const { facts, units } of moved) {
    const key = JSON.stringify(keyOf(facts));
    byKey.set(key, { facts, units: units + (byKey.get(key)?.units ?? 0) });
  }
  return [...byKey.values()].filter(({ units }) => units !== 0);
}

/**
 * Counts units as sold, to their buyers and to their items. The guards of the schema refuse more than allocated, or
 * more than a buyer may have. The items come last: every transaction meets in those few rows, and holds them briefly.
 * Throws NotAllocated.
 */
export async function countSold(tx: Transaction, moved: Decisions['moved']): Promise<void> {
  const buyers = sums(moved, ({ sale, sku, buyer }) => [sale, sku, buyer]);
  await giveToBuyers(
    tx,
    buyers.filter(({ units }) => units > 0),
  );
  await takeFromBuyers(
    tx,
    buyers.filter(({ units }) => units < 0),
  );
  await countItems(
    tx,
    sums(moved, ({ sale, sku }) => [sale, sku]),
  );
}

async function giveToBuyers(tx: Transaction, all: readonly Sum[]): Promise<void> {
  if (all.length === 0) return;
  await tx.$executeRaw`
    INSERT INTO buyer_totals (sale, sku, buyer, units, per_buyer)
    SELECT sale, sku, u.buyer, u.units, a.per_buyer
    FROM unnest(
      ${all.map(({ facts }) => facts.sale)}::text[],
      ${all.map(({ facts }) => facts.sku)}::text[],
      ${all.map(({ facts }) => facts.buyer)}::text[],
      ${all.map(({ units }) => units)}::int[]
    ) AS u (sale, sku, buyer, units)
    JOIN allocations a USING (sale, sku)
    ORDER BY sale COLLATE "C", sku COLLATE "C", u.buyer COLLATE "C"
    ON CONFLICT (sale, sku, buyer) DO UPDATE
      SET units = buyer_totals.units + excluded.units, per_buyer = excluded.per_buyer`;
}

async function takeFromBuyers(tx: Transaction, all: readonly Sum[]): Promise<void> {
  if (all.length === 0) return;
  await tx.$executeRaw`
    UPDATE buyer_totals t SET units = t.units + u.units
    FROM unnest(
      ${all.map(({ facts }) => facts.sale)}::text[],
      ${all.map(({ facts }) => facts.sku)}::text[],
      ${all.map(({ facts }) => facts.buyer)}::text[],
      ${all.map(({ units }) => units)}::int[]
    ) AS u (sale, sku, buyer, units)
    WHERE t.sale = u.sale AND t.sku = u.sku AND t.buyer = u.buyer`;
}

async function countItems(tx: Transaction, all: readonly Sum[]): Promise<void> {
  if (all.length === 0) return;
  const counted = await tx.$executeRaw`
    UPDATE allocations SET sold = sold + due.units
    FROM (
      SELECT sale, sku, u.units
      FROM unnest(
        ${all.map(({ facts }) => facts.sale)}::text[],
        ${all.map(({ facts }) => facts.sku)}::text[],
        ${all.map(({ units }) => units)}::int[]
      ) AS u (sale, sku, units)
      JOIN allocations a USING (sale, sku)
      ORDER BY sale, sku FOR UPDATE OF a
    ) AS due
    WHERE allocations.sale = due.sale AND allocations.sku = due.sku`;
  if (counted < all.length) throw new NotAllocated(all.map(({ facts }) => `${facts.sale}/${facts.sku}`));
}
