/** What orders needs of the world: the ledger, the stock, pushes and the log. `ledger.contract.ts` checks each ledger. */
import type {
  LedgerEntry,
  LedgerTotals,
  PurchaseReserved,
  PurchaseResolved,
  PurchaseStatus,
  SaleEvent,
  SaleStore,
  Signals,
  TopicName,
} from '@flashsale/sale';
import type { Logger } from '@flashsale/platform/log';
import type { Change, Decisions } from './decide.ts';

/** What may be sold of an item. */
export interface AllocatedItem {
  readonly sku: string;
  readonly allocated: number;
  readonly perBuyer: number;
}

/** What a decision reads and writes, all or nothing. */
export interface LedgerTransaction {
  /** Puts events into the inbox and returns the ids of those that were not in it. */
  admit(eventIds: readonly string[]): Promise<Set<string>>;
  /** The purchases that are known, locked until the end of the transaction. */
  lockStatuses(ids: readonly string[]): Promise<Map<string, PurchaseStatus>>;
  /**
   * Notes purchases that are not in the ledger. A resolved event that came ahead of its `reserved` one lends its own
   * time as the time of the reservation, until that one comes.
   */
  note(events: readonly (PurchaseReserved | PurchaseResolved)[]): Promise<void>;
  writeChanges(changes: readonly Change[]): Promise<void>;
  /** Counts units as sold, to their buyers and to their items. Throws GuardRefused and NotAllocated. */
  countSold(moved: Decisions['moved']): Promise<void>;
}

/** The ledger as the consumer keeps it. Every call has a deadline; one that failed may have been carried out. */
export interface LedgerBook extends Pick<LedgerTransaction, 'note'> {
  /** Carries out `work` once, all of it or, where it throws, none. Throws what it throws. */
  transaction<T>(work: (tx: LedgerTransaction) => Promise<T>): Promise<T>;
}

/** A purchase as its buyer sees it. */
export interface BuyerPurchase {
  readonly id: string;
  readonly sale: string;
  readonly sku: string;
  readonly quantity: number;
  readonly amountMinor: number;
  readonly currency: string;
  readonly status: PurchaseStatus;
  readonly reservedAt: Date;
  readonly resolvedAt: Date | null;
  readonly reason: string | null;
}

/** The last purchase of the page before: Unix ms of its reservation, and its id. */
export interface Position {
  readonly reservedAt: number;
  readonly id: string;
}

/** The ledger as the operator, the proof and the buyers read it. */
export interface LedgerView {
  /** Sets the allocation of a sale's items, all or none. False where one of them has sold more than that already. */
  allocate(sale: string, items: readonly AllocatedItem[]): Promise<boolean>;
  /** The guard's own counters; empty where the sale was never allocated. */
  totals(sale: string): Promise<LedgerTotals[]>;
  /** Every item that was ever allocated. */
  sales(): AsyncIterable<{ readonly sale: string; readonly sku: string }>;
  /** Every purchase of a sale, by id. */
  entries(sale: string): AsyncIterable<LedgerEntry>;
  /** Undefined where the ledger has no such purchase. */
  entry(id: string): Promise<LedgerEntry | undefined>;
  /** At most `limit` purchases of a buyer in one of `statuses`, newest first, after a position. */
  purchasesOf(
    buyer: string,
    statuses: readonly PurchaseStatus[],
    limit: number,
    after?: Position,
  ): Promise<BuyerPurchase[]>;
}

/** The guards of the ledger, and what a buyer is told where one refuses his purchase. */
export const GUARDS = {
  sold_within_allocation: 'sold out',
  buyer_within_limit: 'you already have as many as one buyer may have',
} as const;
export type Guard = keyof typeof GUARDS;

/** A guard refused what a transaction would have sold; nothing of it was written. */
export class GuardRefused extends Error {
  readonly guard: Guard;
  constructor(guard: Guard, cause?: unknown) {
    super(`the guard ${guard} refused`, { cause });
    this.name = 'GuardRefused';
    this.guard = guard;
  }
}

/** Nobody has said yet what may be sold of an item: the operator does, when it warms the sale. */
export class NotAllocated extends Error {
  constructor(items: readonly string[]) {
    super(`No allocation for one of ${items.join(', ')}`);
    this.name = 'NotAllocated';
  }
}

export interface OrderPorts {
  readonly ledger: LedgerBook;
  readonly store: Pick<SaleStore, 'settle'>;
  readonly signals: Pick<Signals, 'notifyBuyers'>;
  /** Writes events to the log; resolves when they are there for good. */
  readonly send: (topic: TopicName, events: readonly SaleEvent[]) => Promise<void>;
  readonly log: Logger;
}
