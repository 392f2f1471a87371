/** CPU µs of Redis itself for one purchase: alone, in a batch, and in a batch that finds nothing. */
import { randomBytes } from 'node:crypto';
import { testItem, testSale } from '@flashsale/checkout/test-sale';
import type { RedisConnection } from '@flashsale/platform/redis';
import { homeShard, type PublishedSale, purchaseId, type ReserveRequest, type SaleStore } from '@flashsale/sale';
import { medians } from './figures.ts';

export const REDIS_VARIANTS = ['single', 'batched', 'soldOut'] as const;
export type RedisVariant = (typeof REDIS_VARIANTS)[number];

export interface RedisBenchOptions {
  readonly redis: RedisConnection;
  readonly store: SaleStore;
  readonly rounds: number;
  readonly purchases: number;
}

export const BATCH = 16;
/** Calls under way at a time: as many as checkout keeps for one shard. */
const IN_FLIGHT = 2;
const SKU = 'air-zero-42';

export async function benchRedis(options: RedisBenchOptions): Promise<Readonly<Record<RedisVariant, number>>> {
  const samples: Record<RedisVariant, number[]> = { single: [], batched: [], soldOut: [] };
  for (let round = 0; round <= options.rounds; round++) {
    const measured: Record<RedisVariant, number> = {
      single: await measure(options, options.purchases, 1, 'reserved'),
      batched: await measure(options, options.purchases, BATCH, 'reserved'),
      soldOut: await measure(options, 0, BATCH, 'shardEmpty'),
    };
    // The first round only warms up.
    if (round > 0) for (const variant of REDIS_VARIANTS) samples[variant].push(measured[variant]);
  }
  return medians(samples);
}

async function measure(options: RedisBenchOptions, stock: number, batch: number, expected: string): Promise<number> {
  const { redis, store, purchases } = options;
  const name = `bench-${randomBytes(6).toString('hex')}`;
  const warm = { ...testSale(name).warm, shards: 1 };
  const sale = testSale(name, { warm, items: [testItem(SKU, { stock })] });
  await store.warm(sale, sale.epoch);
  const batches = Array.from({ length: purchases / batch }, (_, i) => makeBatch(sale, i * batch, batch));
  const before = await redisCpu(redis);
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let i = next++; i < batches.length; i = next++) {
      const answers = await store.reserve(sale, { sale: name, shard: 0, sku: SKU }, batches[i] ?? []);
      const wrong = answers.find(({ code }) => code !== expected);
      if (wrong) throw new Error(`expected ${expected}, got ${wrong.code}`);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
  const cpu = (await redisCpu(redis)) - before;
  await store.purge(sale);
  return cpu / purchases;
}

function makeBatch(sale: PublishedSale, from: number, size: number): ReserveRequest[] {
  return Array.from({ length: size }, (_, i) => {
    const number = from + i;
    const buyer = { id: `buyer-${number}`, number };
    const id = purchaseId(sale.name, homeShard(buyer.id, 1), String(number).padStart(22, '0'));
    return { id, buyer, quantity: 1, correlationId: '0123456789abcdef' };
  });
}

/** µs that the process of Redis has used so far. */
async function redisCpu(redis: RedisConnection): Promise<number> {
  const info = await redis.command<string>('INFO', 'cpu');
  const seconds = ['used_cpu_user', 'used_cpu_sys'].map((name) =>
    Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(info)?.[1]),
  );
  return seconds.reduce((sum, one) => sum + one, 0) * 1_000_000;
}

/** Script calls that Redis has run so far. */
export async function scriptCalls(redis: RedisConnection): Promise<number> {
  const info = await redis.command<string>('INFO', 'commandstats');
  return [...info.matchAll(/^cmdstat_eval(?:sha)?:calls=(\d+)/gm)].reduce((sum, [, calls]) => sum + Number(calls), 0);
}
