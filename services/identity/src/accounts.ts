/** Accounts: who may sign in. The e-mail is unique in lower case; the number is dense and kept for life. */
import { randomUUID } from 'node:crypto';
import { SaleError } from '@flashsale/sale';
import { Attempts } from './attempts.ts';
import type { PrismaClient } from './generated/prisma/client.ts';
import type { Passwords } from './passwords.ts';

export interface Account {
  readonly id: string;
  /** Dense account number, above those of the test buyers. */
  readonly number: number;
  readonly email: string;
  readonly roles: readonly string[];
}

export interface Accounts {
  /** Throws SaleError `email_taken`, `try_again_later`. */
  register(email: string, password: string): Promise<Account>;
  /**
   * Undefined where e-mail and password do not belong together; it takes as long for an unknown e-mail.
   * Throws SaleError `rate_limited` after too many failures, `try_again_later`.
   */
  authenticate(email: string, password: string): Promise<Account | undefined>;
  find(id: string): Promise<Account | undefined>;
}

interface AccountRow {
  readonly id: string;
  readonly number: bigint;
  readonly email: string;
  readonly roles: string[];
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const toAccount = (row: AccountRow): Account => ({
  id: row.id,
  number: Number(row.number),
  email: row.email,
  roles: row.roles,
});

export function createAccounts(database: PrismaClient, passwords: Passwords): Accounts {
  const attempts = new Attempts();
  return {
    async register(email, password) {
      const lower = email.toLowerCase();
      // Asked first, because a sequence does not give a number back: a refused insert would leave a hole.
      if (await database.account.findUnique({ where: { email: lower }, select: { id: true } })) throw emailTaken();
      const passwordHash = await passwords.hash(password);
      const rows = await database.account.createManyAndReturn({
        data: [{ id: randomUUID(), email: lower, passwordHash }],
        skipDuplicates: true,
      });
      const row = rows[0];
      if (!row) throw emailTaken();
      return toAccount(row);
    },

    async authenticate(email, password) {
      const lower = email.toLowerCase();
      attempts.check(lower);
      const row = await database.account.findUnique({ where: { email: lower } });
      if (!(await passwords.verify(row?.passwordHash, password)) || !row) {
        attempts.failed(lower);
        return undefined;
      }
      attempts.succeeded(lower);
      return toAccount(row);
    },

    async find(id) {
      if (!UUID.test(id)) return undefined;
      const row = await database.account.findUnique({ where: { id } });
      return row ? toAccount(row) : undefined;
    },
  };
}

const emailTaken = (): SaleError => new SaleError('email_taken', 'Sign in instead, or use another e-mail address.');
