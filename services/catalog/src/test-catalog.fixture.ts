/** A catalog for tests: its app on a real PostgreSQL and a real Redis, with pages of its own. */
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { testDatabase, testRedis } from '@flashsale/local/testing';
import { migrate, openDatabase, type Database } from '@flashsale/platform/database';
import { httpPart } from '@flashsale/platform/http';
import { createLogger } from '@flashsale/platform/log';
import { connectRedis, createPageCache, type RedisConnection } from '@flashsale/platform/redis';
import { createPageLocks } from '@flashsale/platform/redis-page-locks';
import { keys, type PageCache } from '@flashsale/sale';
import { PrismaClient } from './generated/prisma/client.ts';
import type { Products } from './ports.ts';
import { catalogService } from './service.ts';
import { sqlProducts } from './sql-products.ts';

export const quiet = createLogger('catalog', 'silent');

export interface TestCatalog {
  readonly url: string;
  readonly db: Database<PrismaClient>;
  readonly redis: RedisConnection;
  readonly cache: PageCache;
  /** Reads of the database for pages and searches, by name of the port's method. */
  readonly reads: string[];
  /** Loses a page, as a server that forgets. */
  lose(name: string): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export async function testCatalog(): Promise<TestCatalog> {
  const database = await testDatabase();
  await migrate(database, fileURLToPath(new URL('../prisma/migrations', import.meta.url)), quiet);
  const db = openDatabase(PrismaClient, database);
  await db.connect();
  const redis = connectRedis(await testRedis(), quiet);
  await redis.start();
  const prefix = `t-${randomBytes(6).toString('hex')}/`;
  const cache = createPageCache(redis, prefix);
  const reads: string[] = [];
  const { app, known } = catalogService({
    products: counted(sqlProducts(db), reads),
    cache,
    locks: createPageLocks(redis, prefix),
    pageTtlMs: 60_000,
    log: quiet,
  });
  const http = httpPart({ app, port: 0, log: quiet });
  await known.start?.();
  await http.start?.();
  return {
    url: `http://127.0.0.1:${http.port}`,
    db,
    redis,
    cache,
    reads,
    lose: async (name) => {
      await redis.command('DEL', keys.page(prefix + name));
    },
    async [Symbol.asyncDispose]() {
      await http.drain?.();
      await http.stop?.();
      await known.drain?.();
      await redis.stop();
      await db.disconnect();
    },
  };
}

function counted(products: Products, reads: string[]): Products {
  return {
    ...products,
    productPages: (ids) => {
      reads.push('productPages');
      return products.productPages(ids);
    },
    listPages: (first, last, size) => {
      reads.push('listPages');
      return products.listPages(first, last, size);
    },
    search: (words) => {
      reads.push('search');
      return products.search(words);
    },
  };
}
