/** What the two consumers of payments need of the world. `book.contract.ts` checks each book. */
import type { PurchaseReserved, SaleEvent, SaleStore, Signals, TopicName } from '@flashsale/sale';
import type { Logger } from '@flashsale/platform/log';
import type { Account, Charge } from './decide-charges.ts';

/** What a batch of charges reads and writes, all or nothing. */
export interface BookTransaction {
  /**
   * Opens the accounts nobody opened (`owners`: buyer to currency), then locks all of them and reads them. Every
   * transaction takes its accounts first and in the order of their names, so that two of them cannot wait for each other.
   */
  openAndLock(owners: ReadonlyMap<string, string>, openingCreditMinor: number): Promise<Map<string, Account>>;
  lockAccounts(buyers: readonly string[]): Promise<Map<string, Account>>;
  findCharges(ids: readonly string[]): Promise<Map<string, Charge>>;
  /** Throws where one of them is in the book already. */
  writeCharges(purchases: readonly PurchaseReserved[], charges: ReadonlyMap<string, Charge>): Promise<void>;
  /** Takes from accounts, minor units by buyer. Throws where one would be overdrawn. */
  debit(debits: ReadonlyMap<string, number>): Promise<void>;
  /** Gives charges back to accounts that the transaction has locked, each once only. Returns how many it gave now. */
  giveBack(ids: readonly string[], reasons: readonly string[]): Promise<number>;
}

/** Accounts and charges. Every call has a deadline; one that failed may have been carried out. */
export interface Book {
  /** Carries out `work` once, all of it or, where it throws, none. Throws what it throws. */
  transaction<T>(work: (tx: BookTransaction) => Promise<T>): Promise<T>;
  /** Sets the credit of accounts in minor units, opening those that are new. */
  setCredit(
    accounts: readonly { readonly buyer: string; readonly creditMinor: number }[],
    currency: string,
  ): Promise<void>;
}

export interface PaymentPorts {
  readonly book: Pick<Book, 'transaction'>;
  readonly store: Pick<SaleStore, 'time' | 'release'>;
  readonly signals: Pick<Signals, 'notifyBuyers'>;
  /** Writes events to the log; resolves when they are there for good. */
  readonly send: (topic: TopicName, events: readonly SaleEvent[]) => Promise<void>;
  readonly log: Logger;
  /** Credit of an account at its first charge, in minor units. */
  readonly openingCreditMinor: number;
}
