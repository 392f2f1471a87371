/** The states of a purchase, which moves between them are legal, and the law that every stock level obeys. */
import type { PurchaseStatus, StockLevel } from './types.ts';

/**
 * From each status, where a purchase may go next. `expired → refunded`: the charge arrived after the hold had ended,
 * so the money goes back; its unit was put back at `expired` already. `reserved → refunded`: charged, but neither the hold
 * nor a guard of the ledger let it become a sale, or Redis was rebuilt while the money was on its way back.
 */
export const PURCHASE_MOVES: Readonly<Record<PurchaseStatus, readonly PurchaseStatus[]>> = {
  reserved: ['paid', 'refused', 'expired', 'refunded'],
  paid: ['refunded'],
  refused: [],
  expired: ['refunded'],
  refunded: [],
};

export function canBecome(from: PurchaseStatus, to: PurchaseStatus): boolean {
  return PURCHASE_MOVES[from].includes(to);
}

/** Where the units of a purchase are counted: in payment, sold, or back on sale. */
export type StockColumn = 'free' | 'held' | 'sold';
export function columnOf(status: PurchaseStatus): StockColumn {
  if (status === 'reserved') return 'held';
  return status === 'paid' ? 'sold' : 'free';
}

/** The conservation law: no unit appears or vanishes, and no column is negative. */
export function conserves(level: StockLevel): boolean {
  const columns = [level.free, level.held, level.sold];
  return columns.every((units) => Number.isSafeInteger(units) && units >= 0) && sum(columns) === level.stock;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
