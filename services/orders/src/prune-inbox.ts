/** Forgets which events were decided once none of them can come again. */
import type { Logger } from '@flashsale/platform/log';
import { loop, type Part } from '@flashsale/platform/run';
import type { PrismaClient } from './generated/prisma/client.ts';

/** Longer than Kafka keeps a record (7 days unless told). */
const KEPT_DAYS = 14;
const EVERY_MS = 60_000;
/** Rows of one statement, and statements of one step: what a step leaves is for the next. */
const BATCH = 2_000;
const MOST_BATCHES = 50;

export function inboxPruner(db: Pick<PrismaClient, '$executeRaw'>, log: Logger): Part {
  return loop('prune-inbox', log, EVERY_MS, (signal) => pruneInbox(db, signal));
}

/** Rows that another process is deleting are left to it. Rejects where the database does. */
export async function pruneInbox(db: Pick<PrismaClient, '$executeRaw'>, signal?: AbortSignal): Promise<void> {
  for (let batch = 0; batch < MOST_BATCHES && !signal?.aborted; batch++) {
    const deleted = await db.$executeRaw`
      DELETE FROM inbox WHERE ctid = ANY (ARRAY (
        SELECT ctid FROM inbox WHERE at < now() - make_interval(days => ${KEPT_DAYS}::int)
        LIMIT ${BATCH} FOR UPDATE SKIP LOCKED))`;
    if (deleted < BATCH) return;
  }
}
