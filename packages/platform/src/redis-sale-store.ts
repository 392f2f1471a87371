/** The sale store on Redis: every method of the port, put together from its parts. */
import { keys } from '@flashsale/sale';
import type { PublishedSale, SaleStore } from '@flashsale/sale';
import type { RedisConnection } from './redis-connection.ts';
import { lookingOf } from './redis-sale-look.ts';
import { outboxOf } from './redis-sale-outbox.ts';
import { purchasesOf } from './redis-sale-purchases.ts';
import { stockOf } from './redis-sale-stock.ts';
import { publishMessage } from './redis-signals.ts';

/** Every method may throw SaleError `try_again_later` (Redis away or slow); see `RedisConnection.command`. */
export function createSaleStore(redis: RedisConnection): SaleStore {
  return {
    async time() {
      const [seconds, micros] = await redis.command<[string, string]>('TIME');
      return Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
    },
    ...purchasesOf(redis),
    ...lookingOf(redis),
    ...outboxOf(redis),
    ...stockOf(redis),
    ...registryOf(redis),
  };
}

type Registry = Pick<
  SaleStore,
  'publish' | 'unpublish' | 'published' | 'publishedVersion' | 'publishedMark' | 'writeExistence' | 'existence'
>;

function registryOf(redis: RedisConnection): Registry {
  // The counter is in another slot of a Cluster, so it cannot be one step: the counter goes last, and who repeats
  // the call after a failure in between repairs it.
  const next = (): Promise<number> => redis.command('INCR', keys.publishedVersion);
  const changed = async (sale: string): Promise<void> => {
    await next();
    await publishMessage(redis, { type: 'published', sale }).catch(() => 0);
  };
  const versionOf = async (): Promise<number> =>
    Number((await redis.command<string | null>('GET', keys.publishedVersion)) ?? 0);
  return {
    async publish(sale) {
      await redis.command('HSET', keys.published, sale.name, JSON.stringify(sale));
      await changed(sale.name);
    },
    async unpublish(sale) {
      await redis.command('HDEL', keys.published, sale);
      await changed(sale);
    },
    async published() {
      const texts = await redis.command<string[]>('HVALS', keys.published);
      return texts.map((text) => JSON.parse(text) as PublishedSale);
    },
    publishedVersion: versionOf,
    async publishedMark() {
      const [version, sales, filters] = await Promise.all([
        versionOf(),
        redis.command<number>('HLEN', keys.published),
        redis.command<number>('EXISTS', keys.existence),
      ]);
      return { version, sales, existence: filters > 0 };
    },
    async writeExistence(bytes) {
      // As text: replies are read as UTF-8, which the bytes of a filter are not.
      await redis.command('SET', keys.existence, Buffer.from(bytes).toString('base64'));
      await next();
    },
    async existence() {
      const text = await redis.command<string | null>('GET', keys.existence);
      return text === null ? undefined : Buffer.from(text, 'base64');
    },
  };
}
