/** Forgets the names of relays whose processes have ended: each process reads the outboxes under a name of its own. */
import type { Logger } from '@flashsale/platform/log';
import { loop, type Part } from '@flashsale/platform/run';
import type { SaleStore } from '@flashsale/sale';
import type { SaleDirectory } from './sale-directory.ts';

const EVERY_MS = 600_000;
/** One that is forgotten and still lives is known again with the next entry that it takes. */
const SILENT_MS = 3_600_000;

export interface ForgetRelaysOptions {
  readonly store: Pick<SaleStore, 'forgetRelays'>;
  readonly directory: Pick<SaleDirectory, 'all'>;
  readonly log: Logger;
}

export function forgetRelays({ store, directory, log }: ForgetRelaysOptions): Part {
  return loop('forget-relays', log, EVERY_MS, async (signal) => {
    for (const { sale } of directory.all()) {
      for (let shard = 0; shard < sale.warm.shards && !signal.aborted; shard++) {
        await store.forgetRelays(sale.name, shard, SILENT_MS);
      }
    }
  });
}
