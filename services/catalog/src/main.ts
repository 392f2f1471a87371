/** The process of the catalog: its routes, and the filter that is kept fresh. */
import { fileURLToPath } from 'node:url';
import { ensureDatabase, migrate, openDatabase } from '@flashsale/platform/database';
import { httpPart } from '@flashsale/platform/http';
import { connectRedis, createPageCache } from '@flashsale/platform/redis';
import { createPageLocks } from '@flashsale/platform/redis-page-locks';
import { run } from '@flashsale/platform/run';
import { readConfig } from './config.ts';
import { PrismaClient } from './generated/prisma/client.ts';
import { catalogService } from './service.ts';
import { sqlProducts } from './sql-products.ts';

const MIGRATIONS = fileURLToPath(new URL('../prisma/migrations', import.meta.url));

await run('catalog', async ({ log, env }) => {
  const config = readConfig(env);
  await ensureDatabase(config.DATABASE_URL);
  await migrate(config.DATABASE_URL, MIGRATIONS, log);
  const db = openDatabase(PrismaClient, config.DATABASE_URL);
  const redis = connectRedis(config.REDIS_URL, log);
  const { app, known } = catalogService({
    products: sqlProducts(db),
    cache: createPageCache(redis),
    locks: createPageLocks(redis),
    pageTtlMs: config.PAGE_TTL_MS,
    log,
  });
  return [db, redis, known, httpPart({ app, port: config.PORT, log })];
});
