/** The keys of shards and items under the names that the scripts' headers use. */
import { keys, SaleError } from '@flashsale/sale';
import type { Sale, ShardItem } from '@flashsale/sale';

/** Every key of one item in one shard, the shard's own keys included. */
export interface ItemKeys {
  readonly meta: string;
  readonly item: string;
  readonly holds: string;
  readonly due: string;
  readonly outbox: string;
  readonly bits: string;
  readonly counts: string;
  readonly transfers: string;
  readonly eligible: string;
}

const MAX_REMEMBERED = 4_096;
const remembered = new Map<string, ItemKeys>();

/** Remembered (bounded), because the hot path asks for the same few again and again. */
export function itemKeys({ sale, shard, sku }: ShardItem): ItemKeys {
  const name = `${sale}.${shard}.${sku}`;
  const known = remembered.get(name);
  if (known) return known;
  if (remembered.size >= MAX_REMEMBERED) remembered.clear();
  const made: ItemKeys = {
    meta: keys.meta(sale, shard),
    item: keys.item(sale, shard, sku),
    holds: keys.holds(sale, shard),
    due: keys.due(sale, shard),
    outbox: keys.outbox(sale, shard),
    bits: keys.buyerBits(sale, shard, sku),
    counts: keys.buyerCounts(sale, shard, sku),
    transfers: keys.transfers(sale, shard),
    eligible: keys.eligible(sale, shard),
  };
  remembered.set(name, made);
  return made;
}

export const shardsOf = (sale: Sale): number[] => Array.from({ length: sale.warm.shards }, (_, shard) => shard);

/** Shard `shard`'s part of `units`, as even as can be; the parts add up to `units`. Units may be negative: then shard 0 has them all. */
export function shareOf(units: number, shards: number, shard: number): number {
  if (units < 0) return shard === 0 ? units : 0;
  return Math.floor(units / shards) + (shard < units % shards ? 1 : 0);
}

/** A shard answered that it is not there, or in another epoch. */
export function notReady(sale: string, shard: number, code: number): SaleError {
  return new SaleError(
    'try_again_later',
    `${sale} is ${code === -9 ? 'in another epoch' : 'not warm'} in shard ${shard}`,
  );
}
