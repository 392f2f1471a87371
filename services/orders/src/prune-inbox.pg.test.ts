/** The inbox keeps what may come again, and nothing that cannot. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { testDatabase } from '@flashsale/local/testing';
import { migrate, openDatabase } from '@flashsale/platform/database';
import { createLogger } from '@flashsale/platform/log';
import { PrismaClient } from './generated/prisma/client.ts';
import { pruneInbox } from './prune-inbox.ts';

test('rows of more than 14 days go, in more than one batch and also where two prune at once; younger ones stay', async () => {
  const url = await testDatabase();
  await migrate(url, fileURLToPath(new URL('../prisma/migrations', import.meta.url)), createLogger('orders', 'silent'));
  const db = openDatabase(PrismaClient, url);
  await db.connect();
  try {
    const add = (name: string, rows: number, days: number): Promise<number> => db.$executeRaw`
      INSERT INTO inbox (event_id, at)
      SELECT ${name} || n, now() - make_interval(days => ${days}::int) FROM generate_series(1, ${rows}::int) AS n`;
    await add('old-', 5_000, 15);
    await add('young-', 3, 13);
    await Promise.all([pruneInbox(db), pruneInbox(db)]);
    // What one of them held while the other looked.
    await pruneInbox(db);
    const left = await db.inbox.findMany({ select: { eventId: true }, orderBy: { eventId: 'asc' } });
    assert.deepEqual(
      left.map(({ eventId }) => eventId),
      ['young-1', 'young-2', 'young-3'],
    );
    await add('old-', 5, 15);
    await pruneInbox(db, AbortSignal.abort());
    assert.equal(await db.inbox.count(), 8, 'a drain begins nothing new');
  } finally {
    await db.disconnect();
  }
});
