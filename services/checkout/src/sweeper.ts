/** Ends holds whose time has passed and gives their units back to the sale. Every process sweeps: release is idempotent. */
import type { Logger } from '@flashsale/platform/log';
import { loop, type Part } from '@flashsale/platform/run';
import type { DueHold, SaleStore } from '@flashsale/sale';
import { swept } from './metrics.ts';
import type { ListedSale, SaleDirectory } from './sale-directory.ts';

const EVERY_MS = 500;
/** Holds of one shard a pass; more wait for the next one, which follows at once. */
const LIMIT = 256;

export interface SweeperOptions {
  readonly store: Pick<SaleStore, 'due' | 'release'>;
  readonly directory: Pick<SaleDirectory, 'all'>;
  readonly log: Logger;
  /** Called after holds were released: their events are in the shard's outbox. */
  readonly onReleased: (sale: string, shard: number) => void;
}

export function sweeper(options: SweeperOptions): Part {
  const part = loop('sweeper', options.log, EVERY_MS, async (signal) => {
    if (await sweep(options, signal)) part.kick();
  });
  return part;
}

/** One pass over every shard of every sale. True where there may be more to do. Rejects after the pass where a shard failed. */
export async function sweep(options: SweeperOptions, signal?: AbortSignal): Promise<boolean> {
  let more = false;
  const failures: unknown[] = [];
  for (const listed of options.directory.all()) {
    for (let shard = 0; shard < listed.sale.warm.shards; shard++) {
      if (signal?.aborted) return false;
      try {
        more = (await sweepShard(options, listed, shard)) || more;
      } catch (error) {
        failures.push(error);
      }
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, 'some shards could not be swept');
  return more;
}

async function sweepShard(options: SweeperOptions, listed: ListedSale, shard: number): Promise<boolean> {
  const { name: sale } = listed.sale;
  const due = await options.store.due(sale, shard, LIMIT);
  const bySku = Map.groupBy(due, ({ sku }) => sku);
  let done = 0;
  for (const [sku, holds] of bySku) done += await release(options, listed, shard, sku, holds);
  // Those that cannot be released, for their epoch say, are the oldest in the next pass too: they can wait for it.
  return due.length === LIMIT && done > 0;
}

/** Returns how many holds it ended. */
async function release(
  options: SweeperOptions,
  listed: ListedSale,
  shard: number,
  sku: string,
  holds: readonly DueHold[],
): Promise<number> {
  const { name: sale, epoch } = listed.sale;
  const requests = holds.map(({ id }) => ({ id, status: 'expired' as const, epoch }));
  const answers = await options.store.release({ sale, shard, sku }, requests);
  const done = answers.filter(({ code }) => code === 'done').length;
  if (done === 0) return 0;
  swept.inc(done);
  options.onReleased(sale, shard);
  return done;
}
