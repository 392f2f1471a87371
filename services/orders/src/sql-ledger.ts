/** The ledger on PostgreSQL: the ports of orders, put together from their statements. */
import { allocate, sales, totals } from './allocate.ts';
import type { PrismaClient } from './generated/prisma/client.ts';
import {
  admit,
  countSold,
  guardOf,
  lockStatuses,
  note,
  TRANSACTION,
  writeChanges,
  type Transaction,
} from './ledger.ts';
import { GuardRefused, type LedgerBook, type LedgerTransaction, type LedgerView } from './ports.ts';
import { entries, entry, purchasesOf } from './read.ts';

export function sqlLedger(db: PrismaClient): LedgerBook & LedgerView {
  return {
    note: (events) => note(db, events),
    async transaction(work) {
      try {
        return await db.$transaction((tx) => work(within(tx)), TRANSACTION);
      } catch (error) {
        const guard = guardOf(error);
        throw guard === undefined ? error : new GuardRefused(guard, error);
      }
    },
    allocate: (sale, items) => allocate(db, sale, items),
    totals: (sale) => totals(db, sale),
    sales: () => sales(db),
    entries: (sale) => entries(db, sale),
    entry: (id) => entry(db, id),
    purchasesOf: (buyer, statuses, limit, after) => purchasesOf(db, buyer, statuses, limit, after),
  };
}

function within(tx: Transaction): LedgerTransaction {
  return {
    admit: (eventIds) => admit(tx, eventIds),
    lockStatuses: (ids) => lockStatuses(tx, ids),
    note: (events) => note(tx, events),
    writeChanges: (changes) => writeChanges(tx, changes),
    countSold: (moved) => countSold(tx, moved),
  };
}
