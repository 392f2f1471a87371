/** The states of a purchase, which moves between them are legal, and the law that every stock level obeys. */
import { PURCHASE_STATUSES } from './types.ts';
import type { PurchaseStatus, StockLevel } from './types.ts';

/**
 * From each status, where a purchase may go next. `expired → refunded`: the charge arrived after the hold had ended,
 * so the money goes back; its unit was put back at `expired` already.
 */
export const PURCHASE_MOVES: Readonly<Record<PurchaseStatus, readonly PurchaseStatus[]>> = {
  reserved: ['paid', 'refused', 'expired'],
  paid: ['refunded'],
  refused: [],
  expired: ['refunded'],
  refunded: [],
};

export function canBecome(from: PurchaseStatus, to: PurchaseStatus): boolean {
  return PURCHASE_MOVES[from].includes(to);
}

export function isPurchaseStatus(text: string): text is PurchaseStatus {
  return (PURCHASE_STATUSES as readonly string[]).includes(text);
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

/** The level of an item over all its shards. */
export function addLevels(levels: readonly StockLevel[]): StockLevel {
  return {
    stock: sum(levels.map((level) => level.stock)),
    free: sum(levels.map((level) => level.free)),
    held: sum(levels.map((level) => level.held)),
    sold: sum(levels.map((level) => level.sold)),
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
