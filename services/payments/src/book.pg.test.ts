/** The book on a real PostgreSQL keeps the book's contract. */
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { testDatabase } from '@flashsale/local/testing';
import { migrate, openDatabase, type Database } from '@flashsale/platform/database';
import { createLogger } from '@flashsale/platform/log';
import { bookContract } from './book.contract.ts';
import { sqlBook } from './book.ts';
import { PrismaClient } from './generated/prisma/client.ts';

let db: Database<PrismaClient> | undefined;
after(() => db?.disconnect());

bookContract('the book on PostgreSQL', async () => {
  const url = await testDatabase();
  await migrate(
    url,
    fileURLToPath(new URL('../prisma/migrations', import.meta.url)),
    createLogger('payments', 'silent'),
  );
  db = openDatabase(PrismaClient, url);
  await db.connect();
  return sqlBook(db);
});
