/** The book of payments in SQL: accounts and charges. One statement a batch, arrays by UNNEST. */
import type { PurchaseReserved } from '@flashsale/sale';
import type { Account, Charge } from './decide-charges.ts';
import type { PrismaClient } from './generated/prisma/client.ts';
import type { Book, BookTransaction } from './ports.ts';

/** Longest a transaction may take, and may wait for a connection, in ms. */
const TRANSACTION = { timeout: 10_000, maxWait: 5_000 } as const;

/** A client inside a transaction. */
type Transaction = Pick<PrismaClient, '$queryRaw' | '$executeRaw'>;

export function sqlBook(db: PrismaClient): Book {
  return {
    transaction: (work) => db.$transaction((tx) => work(within(tx)), TRANSACTION),
    setCredit: (accounts, currency) => setCredit(db, accounts, currency),
  };
}

function within(tx: Transaction): BookTransaction {
  return {
    openAndLock: (owners, openingCreditMinor) => openAndLock(tx, owners, openingCreditMinor),
    lockAccounts: (buyers) => lockAccounts(tx, buyers),
    findCharges: (ids) => findCharges(tx, ids),
    writeCharges: (purchases, charges) => writeCharges(tx, purchases, charges),
    debit: (debits) => debit(tx, debits),
    giveBack: (ids, reasons) => giveBack(tx, ids, reasons),
  };
}

async function openAndLock(
  tx: Transaction,
  owners: ReadonlyMap<string, string>,
  openingCreditMinor: number,
): Promise<Map<string, Account>> {
  const buyers = [...owners.keys()];
  await tx.$executeRaw`
    INSERT INTO accounts (buyer, credit_minor, currency)
    SELECT buyer, ${openingCreditMinor}::bigint, currency
    FROM unnest(${buyers}::text[], ${[...owners.values()]}::text[]) AS u (buyer, currency)
    ORDER BY buyer COLLATE "C"
    ON CONFLICT (buyer) DO NOTHING`;
  return await lockAccounts(tx, buyers);
}

async function lockAccounts(tx: Transaction, buyers: readonly string[]): Promise<Map<string, Account>> {
  const rows = await tx.$queryRaw<{ buyer: string; credit: number; currency: string }[]>`
    SELECT buyer, credit_minor::float8 AS credit, currency FROM accounts
    WHERE buyer = ANY (${buyers}::text[]) ORDER BY buyer FOR UPDATE`;
  return new Map(rows.map((row) => [row.buyer, { ...row, creditMinor: row.credit }]));
}

async function findCharges(tx: Transaction, ids: readonly string[]): Promise<Map<string, Charge>> {
  const rows = await tx.$queryRaw<(Charge & { id: string })[]>`
    SELECT purchase_id AS id, status::text AS status, reason, sku, quantity, amount_minor::float8 AS "amountMinor", currency
    FROM charges WHERE purchase_id = ANY (${ids}::text[])`;
  return new Map(rows.map((row) => [row.id, row]));
}

async function writeCharges(
  tx: Transaction,
  purchases: readonly PurchaseReserved[],
  charges: ReadonlyMap<string, Charge>,
): Promise<void> {
  await tx.$executeRaw`
    INSERT INTO charges (purchase_id, sale, sku, quantity, buyer, amount_minor, currency, status, reason)
    SELECT id, sale, sku, quantity, buyer, amount, currency, status::charge_status, reason
    FROM unnest(
      ${purchases.map((p) => p.id)}::text[],
      ${purchases.map((p) => p.sale)}::text[],
      ${purchases.map((p) => p.sku)}::text[],
      ${purchases.map((p) => p.quantity)}::int[],
      ${purchases.map((p) => p.buyer)}::text[],
      ${purchases.map((p) => p.amountMinor)}::bigint[],
      ${purchases.map((p) => p.currency)}::text[],
      ${purchases.map((p) => charges.get(p.id)?.status)}::text[],
      ${purchases.map((p) => charges.get(p.id)?.reason ?? null)}::text[]
    ) AS u (id, sale, sku, quantity, buyer, amount, currency, status, reason)`;
}

/** Gives, where negative. The schema refuses an overdrawn account. */
async function debit(tx: Transaction, debits: ReadonlyMap<string, number>): Promise<void> {
  if (debits.size === 0) return;
  await tx.$executeRaw`
    UPDATE accounts SET credit_minor = credit_minor - u.amount
    FROM unnest(${[...debits.keys()]}::text[], ${[...debits.values()]}::bigint[]) AS u (buyer, amount)
    WHERE accounts.buyer = u.buyer`;
}

async function giveBack(tx: Transaction, ids: readonly string[], reasons: readonly string[]): Promise<number> {
  const given = await markRefunded(tx, ids, reasons);
  const credits = new Map<string, number>();
  for (const { buyer, amount } of given) credits.set(buyer, (credits.get(buyer) ?? 0) - amount);
  await debit(tx, credits);
  return given.length;
}

/** Marks charges as given back and returns those that were charged until now. */
async function markRefunded(
  tx: Transaction,
  ids: readonly string[],
  reasons: readonly string[],
): Promise<{ buyer: string; amount: number }[]> {
  return await tx.$queryRaw<{ buyer: string; amount: number }[]>`
    UPDATE charges SET status = 'refunded', reason = u.reason, at = now()
    FROM unnest(${ids}::text[], ${reasons}::text[]) AS u (id, reason)
    WHERE purchase_id = u.id AND status = 'charged'
    RETURNING buyer, amount_minor::float8 AS amount`;
}

async function setCredit(
  db: Transaction,
  accounts: readonly { readonly buyer: string; readonly creditMinor: number }[],
  currency: string,
): Promise<void> {
  const credits = new Map(accounts.map((account) => [account.buyer, account.creditMinor]));
  await db.$executeRaw`
    INSERT INTO accounts (buyer, credit_minor, currency)
    SELECT buyer, credit, ${currency} FROM unnest(${[...credits.keys()]}::text[], ${[...credits.values()]}::bigint[])
      AS u (buyer, credit)
    ORDER BY buyer COLLATE "C"
    ON CONFLICT (buyer) DO UPDATE SET credit_minor = excluded.credit_minor`;
}
