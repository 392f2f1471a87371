/** What the operator does to a sale's stock in Redis: warm, rebuild, configure, close, purge, admit members. */
import { randomUUID } from 'node:crypto';
import { encodeHold, keys, parsePurchaseId, SaleError } from '@flashsale/sale';
import type { Hold, Sale, SaleItem, SaleStore } from '@flashsale/sale';
import {
  callClose,
  callConfigure,
  callRaise,
  callStageActivate,
  callStageBegin,
  callStageHolds,
  callStageItem,
} from '@flashsale/sale/scripts';
import type { RedisConnection } from './redis-connection.ts';
import { itemKeys, notReady, shardsOf, shareOf } from './redis-sale-keys.ts';
import { publishMessage } from './redis-signals.ts';

/** Holds staged in one script call, members admitted in one command: about 2 ms of the server's time. */
const CHUNK = 100;

type Stock = Pick<SaleStore, 'warm' | 'rebuild' | 'configure' | 'close' | 'purge' | 'admitMembers'>;

export function stockOf(redis: RedisConnection): Stock {
  return {
    async warm(sale, epoch) {
      const found = await Promise.all(
        shardsOf(sale).map((shard) => stageShard(redis, sale, { shard, epoch, again: false }, [])),
      );
      if (sale.membersOnly) await admit(redis, sale, []);
      // Shards may be in different epochs after a crash half-way; the lowest is what the whole sale has reached.
      return Math.min(...found);
    },

    async rebuild(sale, epoch, holds) {
      checkHolds(sale, holds);
      const active = await Promise.all(shardsOf(sale).map((shard) => epochOf(redis, sale.name, shard)));
      if (active.every((one) => one === epoch)) return;
      const stages = shardsOf(sale).map(async (shard) => {
        const found = await stageShard(redis, sale, { shard, epoch, again: true }, holds);
        if (found !== epoch)
          throw new Error(`${sale.name} is in epoch ${found} in shard ${shard}: rebuild under a higher one`);
      });
      await Promise.all(stages);
    },

    async configure(sale, epoch) {
      const told = await Promise.allSettled(shardsOf(sale).map((shard) => configureShard(redis, sale, shard, epoch)));
      const failures = told.flatMap((one): unknown[] => (one.status === 'rejected' ? [one.reason] : []));
      // A server that failed says more than a shard that is not there.
      if (failures.length > 0) throw failures.find((error) => !(error instanceof SaleError)) ?? failures[0];
      const skus = new Set(told.flatMap((one) => (one.status === 'fulfilled' ? one.value : [])));
      for (const sku of skus) {
        await publishMessage(redis, { type: 'returned', sale: sale.name, sku }).catch(() => 0);
      }
    },

    async close(sale, shards, epoch) {
      const codes = Array.from({ length: shards }, async (_, shard) => {
        const code = await callClose(redis.run, { meta: keys.meta(sale, shard) }, { epoch });
        if (code < 0) throw notReady(sale, shard, code);
      });
      await Promise.all(codes);
    },

    async purge(sale) {
      await Promise.all(shardsOf(sale).map((shard) => redis.command('UNLINK', ...everyKey(sale, shard))));
    },

    admitMembers: (sale, buyerNumbers) => admit(redis, sale, buyerNumbers),
  };
}

interface Stage {
  readonly shard: number;
  readonly epoch: number;
  /** True: a shard that is active in this epoch is replaced too. */
  readonly again: boolean;
}

/** Replaces one shard in small steps, the epoch last. Returns the epoch that is active after it. */
async function stageShard(redis: RedisConnection, sale: Sale, stage: Stage, holds: readonly Hold[]): Promise<number> {
  const { shard, epoch } = stage;
  const token = randomUUID();
  const shardKeys = itemKeys({ sale: sale.name, shard, sku: '' });
  const active = await callStageBegin(redis.run, shardKeys, { epoch, again: stage.again ? 1 : 0, token });
  if (active !== 0) return active;
  let staged = 0;
  for (const item of sale.items) staged += await stageItem(redis, { sale, item, shard, token, epoch }, holds);
  const code = await callStageActivate(redis.run, shardKeys, {
    token,
    epoch,
    holds: staged,
    opensAt: sale.opensAt,
    closesAt: sale.closesAt,
    state: sale.paused ? 'paused' : 'open',
    holdForMs: sale.holdForMs,
    members: sale.membersOnly ? 1 : 0,
  });
  expectStaged(sale, code);
  return epoch;
}

interface ItemStage {
  readonly sale: Sale;
  readonly item: SaleItem;
  readonly shard: number;
  readonly token: string;
  readonly epoch: number;
}

/** Stages one item with its holds of this shard; returns how many holds. */
async function stageItem(redis: RedisConnection, stage: ItemStage, holds: readonly Hold[]): Promise<number> {
  const { sale, item, shard, token, epoch } = stage;
  const { shards } = sale.warm;
  const here = itemKeys({ sale: sale.name, shard, sku: item.sku });
  const all = holds.filter((hold) => hold.sku === item.sku);
  const own = all.filter((hold) => parsePurchaseId(hold.id)?.shard === shard);
  const free = shareOf(item.stock - unitsIn(all), shards, shard) + unitsIn(own);
  const code = await callStageItem(redis.run, here, {
    token,
    stock: shareOf(item.stock, shards, shard),
    free,
    perBuyer: item.perBuyer,
    price: item.price.minor,
    currency: item.price.currency,
  });
  expectStaged(sale, code);
  for (let from = 0; from < own.length; from += CHUNK) {
    const each = own.slice(from, from + CHUNK).map((hold) => ({ id: hold.id, text: encodeHold(hold, epoch) }));
    expectStaged(sale, await callStageHolds(redis.run, here, { token }, each));
  }
  return own.length;
}

/** Units that are not free. */
function unitsIn(holds: readonly Hold[]): number {
  let units = 0;
  for (const { status, quantity } of holds) if (status === 'reserved' || status === 'paid') units += quantity;
  return units;
}

function expectStaged(sale: Sale, code: number): void {
  if (code < 0)
    throw new SaleError('try_again_later', `Another attempt to load ${sale.name} took over, or its data was lost`);
}

function checkHolds(sale: Sale, holds: readonly Hold[]): void {
  const skus = new Set(sale.items.map((item) => item.sku));
  const ids = new Set<string>();
  for (const { id, sku } of holds) {
    const ref = parsePurchaseId(id);
    const sound = ref?.sale === sale.name && ref.shard < sale.warm.shards && skus.has(sku) && !ids.has(id);
    if (!sound) throw new Error(`${id} (${sku}) cannot be a hold of ${sale.name}, or is there twice`);
    ids.add(id);
  }
}

async function epochOf(redis: RedisConnection, sale: string, shard: number): Promise<number | undefined> {
  const epoch = await redis.command<string | null>('HGET', keys.meta(sale, shard), 'epoch');
  return epoch === null ? undefined : Number(epoch);
}

/** Returns the skus to which units were added. */
async function configureShard(redis: RedisConnection, sale: Sale, shard: number, epoch: number): Promise<string[]> {
  const code = await callConfigure(
    redis.run,
    { meta: keys.meta(sale.name, shard) },
    {
      epoch,
      opensAt: sale.opensAt,
      closesAt: sale.closesAt,
      state: sale.paused ? 'paused' : 'open',
      holdForMs: sale.holdForMs,
      members: sale.membersOnly ? 1 : 0,
    },
  );
  if (code < 0) throw notReady(sale.name, shard, code);
  const raised: string[] = [];
  for (const { sku, stock } of sale.items) {
    const at = itemKeys({ sale: sale.name, shard, sku });
    const more = await callRaise(redis.run, at, { epoch, stock: shareOf(stock, sale.warm.shards, shard) });
    if (more < 0) throw notReady(sale.name, shard, more);
    if (more > 0) raised.push(sku);
  }
  return raised;
}

function everyKey(sale: Sale, shard: number): string[] {
  const all = sale.items.flatMap(({ sku }) => Object.values(itemKeys({ sale: sale.name, shard, sku })) as string[]);
  return [...new Set(all)];
}

/** Members may buy in any shard, so each shard has the whole bitmap. Bit 0 only marks that it is there. */
async function admit(redis: RedisConnection, sale: Sale, buyerNumbers: readonly number[]): Promise<void> {
  for (const shard of shardsOf(sale)) {
    const key = keys.eligible(sale.name, shard);
    await redis.command('SETBIT', key, 0, 1);
    for (let from = 0; from < buyerNumbers.length; from += CHUNK) {
      const sets = buyerNumbers.slice(from, from + CHUNK).flatMap((number) => ['SET', 'u1', number + 1, 1]);
      await redis.command('BITFIELD', key, ...sets);
    }
  }
}
