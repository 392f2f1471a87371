/** The laws of the ledger and of the book, looked at after every commit. */
import { canBecome, type PurchaseStatus } from '@flashsale/sale';
import { OPENING_CREDIT } from '../actors/consumers.ts';
import type { Database } from '../database/database.ts';
import type { AllocationRow, BuyerTotalRow, PurchaseRow } from '../database/orders-ledger.ts';
import type { ChargeRow } from '../database/payments-book.ts';

type Fail = (what: string) => void;

export const rowsOf = <R>(database: Database, table: string): R[] => [...database.table(table).values()] as R[];

/** Never more sold than allocated, never a buyer above his limit, and counters that equal what they count. */
export function watchLedger(orders: Database, perBuyer: ReadonlyMap<string, number>, fail: Fail): void {
  orders.onWrite = (table, before, after) => {
    if (table !== 'purchases' || !before) return;
    const [from, to] = [before['status'], after['status']] as [PurchaseStatus, PurchaseStatus];
    if (from !== to && !canBecome(from, to)) fail(`the ledger moved ${String(after['id'])} from ${from} to ${to}`);
  };
  orders.onCommit = () => {
    const paid = rowsOf<PurchaseRow>(orders, 'purchases').filter(({ status }) => status === 'paid');
    const unitsOf = (sku: string, buyer?: string): number =>
      paid
        .filter((row) => row.sku === sku && (buyer === undefined || row.buyer === buyer))
        .reduce((units, { quantity }) => units + quantity, 0);
    for (const { sku, sold, allocated } of rowsOf<AllocationRow>(orders, 'allocations')) {
      if (sold > allocated) fail(`the ledger sold ${sold} of ${allocated} ${sku}`);
      if (sold !== unitsOf(sku)) fail(`the ledger counts ${sold} ${sku} as sold, its purchases are ${unitsOf(sku)}`);
    }
    for (const { sku, buyer, units } of rowsOf<BuyerTotalRow>(orders, 'buyerTotals')) {
      if (units !== unitsOf(sku, buyer)) fail(`the ledger counts ${units} ${sku} for ${buyer}, not what he paid for`);
    }
    for (const { sku, buyer } of paid) {
      if (unitsOf(sku, buyer) > (perBuyer.get(sku) ?? 0)) fail(`${buyer} has more ${sku} than one buyer may have`);
    }
  };
}

/** Money is neither made nor lost: what an account lacks is what its charges took. */
export function watchBook(payments: Database, fail: Fail): void {
  payments.onWrite = (table, before, after) => {
    if (table !== 'charges' || !before || before['status'] === after['status']) return;
    const legal = before['status'] === 'charged' && after['status'] === 'refunded';
    if (!legal)
      fail(`the charge ${String(after['id'])} went from ${String(before['status'])} to ${String(after['status'])}`);
  };
  payments.onCommit = () => {
    const charged = rowsOf<ChargeRow>(payments, 'charges').filter(({ status }) => status === 'charged');
    for (const { buyer, creditMinor } of rowsOf<{ buyer: string; creditMinor: number }>(payments, 'accounts')) {
      const spent = charged.filter((row) => row.buyer === buyer).reduce((sum, { amountMinor }) => sum + amountMinor, 0);
      if (creditMinor !== OPENING_CREDIT - spent) fail(`${buyer} has ${creditMinor} left after charges of ${spent}`);
      if (creditMinor < 0) fail(`${buyer} is overdrawn`);
    }
  };
}
