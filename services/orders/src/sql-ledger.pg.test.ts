/** The ledger on a real PostgreSQL keeps the ledger's contract. */
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { testDatabase } from '@flashsale/local/testing';
import { migrate, openDatabase, type Database } from '@flashsale/platform/database';
import { createLogger } from '@flashsale/platform/log';
import { PrismaClient } from './generated/prisma/client.ts';
import { ledgerContract } from './ledger.contract.ts';
import { sqlLedger } from './sql-ledger.ts';

let db: Database<PrismaClient> | undefined;
after(() => db?.disconnect());

ledgerContract('the ledger on PostgreSQL', async () => {
  const url = await testDatabase();
  await migrate(url, fileURLToPath(new URL('../prisma/migrations', import.meta.url)), createLogger('orders', 'silent'));
  db = openDatabase(PrismaClient, url);
  await db.connect();
  return sqlLedger(db);
});
