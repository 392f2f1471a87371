/** What sells in a checkout process, around ports and without HTTP: the same for the service and for the simulation. */
import type { Logger } from '@flashsale/platform/log';
import type { TokenVerifier } from '@flashsale/platform/oidc';
import type { HotRoute } from '@flashsale/platform/http';
import type { Part } from '@flashsale/platform/run';
import type { SaleStore, Signals } from '@flashsale/sale';
import { Admitted } from './admitted.ts';
import { Batcher } from './batcher.ts';
import { forgetRelays } from './forget-relays.ts';
import { purchaseRoute } from './purchase.ts';
import { type EventSink, Relay } from './relay.ts';
import { SaleDirectory } from './sale-directory.ts';
import { SoldOut } from './sold-out.ts';
import { sweeper } from './sweeper.ts';

export interface SellingPorts {
  readonly store: SaleStore;
  readonly signals: Signals;
  readonly sink: EventSink;
  readonly verifier: TokenVerifier;
  readonly log: Logger;
  /** Names this process among the relays; unique. */
  readonly consumer: string;
}

export interface Selling {
  /** In the order in which they start. */
  readonly parts: readonly Part[];
  readonly purchase: HotRoute;
  readonly directory: SaleDirectory;
}

export function createSelling({ store, signals, sink, verifier, log, consumer }: SellingPorts): Selling {
  const soldOut = new SoldOut();
  const admitted = new Admitted(store, log);
  const directory: SaleDirectory = new SaleDirectory({
    store,
    signals,
    log,
    onChanged: (sale, sku) => {
      if (sale === undefined) soldOut.forget();
      const items = sale === undefined ? undefined : directory.get(sale)?.items;
      for (const [name, item] of items ?? []) if (sku === undefined || name === sku) soldOut.forget(item);
      if (sku === undefined) admitted.prune((name) => directory.get(name) !== undefined);
    },
  });
  const relay = new Relay({ store, sink, directory, log, consumer });
  const batcher = new Batcher({ store, soldOut, admitted, log, onReserved: (at) => relay.kick(at.sale, at.shard) });
  const onReleased = relay.kick.bind(relay);
  const loops = [sweeper({ store, directory, log, onReleased }), forgetRelays({ store, directory, log })];
  const purchase = purchaseRoute({ directory, verifier, batcher, log });
  return { parts: [directory, relay, ...loops], purchase, directory };
}
