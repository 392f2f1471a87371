/** The book of payments on the simulated PostgreSQL: what the statements of services/payments do, row by row. */
import type { Account, Charge } from '@flashsale/payments/decide-charges';
import type { Book, BookTransaction } from '@flashsale/payments/ports';
import type { DatabaseConnection, Run } from './connection.ts';
import { DatabaseError, type Transaction } from './database.ts';

export interface ChargeRow extends Charge {
  readonly id: string;
  readonly sale: string;
  readonly buyer: string;
}

const read = <R>(tx: Transaction, table: 'accounts' | 'charges', key: string): R | undefined =>
  tx.get(table, key) as R | undefined;

async function lockAccounts(tx: Transaction, buyers: readonly string[]): Promise<Map<string, Account>> {
  await tx.lock('accounts', buyers);
  return new Map(
    buyers.flatMap((buyer) => {
      const account = read<Account>(tx, 'accounts', buyer);
      return account ? [[buyer, account]] : [];
    }),
  );
}

async function debit(tx: Transaction, debits: ReadonlyMap<string, number>): Promise<void> {
  await tx.lock('accounts', debits.keys());
  for (const [buyer, amount] of debits) {
    const account = read<Account>(tx, 'accounts', buyer);
    if (!account) continue;
    const creditMinor = account.creditMinor - amount;
    if (creditMinor < 0) throw new DatabaseError('account_not_overdrawn');
    tx.set('accounts', buyer, { ...account, creditMinor });
  }
}

async function giveBack(tx: Transaction, ids: readonly string[], reasons: readonly string[]): Promise<number> {
  await tx.lock('charges', ids);
  const credits = new Map<string, number>();
  let given = 0;
  for (const [i, id] of ids.entries()) {
    const charge = read<ChargeRow>(tx, 'charges', id);
    if (charge?.status !== 'charged') continue;
    tx.set('charges', id, { ...charge, status: 'refunded', reason: reasons[i] ?? null });
    credits.set(charge.buyer, (credits.get(charge.buyer) ?? 0) - charge.amountMinor);
    given++;
  }
  await debit(tx, credits);
  return given;
}

function within(run: Run): BookTransaction {
  return {
    openAndLock: async (owners, openingCreditMinor) => {
      await run('openAccounts', async (tx) => {
        await tx.lock('accounts', owners.keys());
        for (const [buyer, currency] of owners) {
          if (!tx.get('accounts', buyer)) {
            tx.set('accounts', buyer, { buyer, creditMinor: openingCreditMinor, currency });
          }
        }
      });
      return run('lockAccounts', (tx) => lockAccounts(tx, [...owners.keys()]));
    },
    lockAccounts: (buyers) => run('lockAccounts', (tx) => lockAccounts(tx, buyers)),
    findCharges: (ids) =>
      run('findCharges', (tx) => {
        const rows = ids.flatMap((id) => read<ChargeRow>(tx, 'charges', id) ?? []);
        return new Map(rows.map((row) => [row.id, row]));
      }),
    writeCharges: (purchases, charges) =>
      run('writeCharges', async (tx) => {
        await tx.lock(
          'charges',
          purchases.map(({ id }) => id),
        );
        for (const { id, sale, sku, quantity, buyer, amountMinor, currency } of purchases) {
          if (tx.get('charges', id)) throw new DatabaseError('charges_pkey');
          const { status, reason = null } = charges.get(id) ?? {};
          tx.set('charges', id, { id, sale, sku, quantity, buyer, amountMinor, currency, status, reason });
        }
      }),
    debit: (debits) => run('debit', (tx) => debit(tx, debits)),
    giveBack: (ids, reasons) => run('giveBack', (tx) => giveBack(tx, ids, reasons)),
  };
}

export function simulatedBook(database: DatabaseConnection): Book {
  return {
    transaction: (work) => database.transaction((run) => work(within(run))),
    setCredit: (accounts, currency) =>
      database.statement('setCredit', async (tx) => {
        await tx.lock(
          'accounts',
          accounts.map(({ buyer }) => buyer),
        );
        for (const { buyer, creditMinor } of accounts) {
          const known = read<Account>(tx, 'accounts', buyer);
          tx.set('accounts', buyer, { buyer, creditMinor, currency: known?.currency ?? currency });
        }
      }),
  };
}
