/** The parts of checkout and its routes, around ports: the same for the service, its tests and the benchmark. */
import { createApp, finishApp, httpPart, type HttpPart, type InternalClient } from '@flashsale/platform/http';
import type { Logger } from '@flashsale/platform/log';
import type { TokenVerifier } from '@flashsale/platform/oidc';
import type { Part } from '@flashsale/platform/run';
import type { SaleStore, Signals } from '@flashsale/sale';
import { Admitted } from './admitted.ts';
import { Batcher } from './batcher.ts';
import { forgetRelays } from './forget-relays.ts';
import { purchaseRoute } from './purchase.ts';
import { purchasesRoutes } from './purchases.ts';
import { type EventSink, Relay } from './relay.ts';
import { SaleDirectory } from './sale-directory.ts';
import { salesRoutes } from './sales.ts';
import { SoldOut } from './sold-out.ts';
import { sweeper } from './sweeper.ts';

export interface CheckoutPorts {
  readonly store: SaleStore;
  readonly signals: Signals;
  readonly sink: EventSink;
  readonly verifier: TokenVerifier;
  readonly orders: Pick<InternalClient, 'json'>;
  readonly log: Logger;
  readonly port: number;
  /** Names this process among the relays; unique. */
  readonly consumer: string;
}

export interface Checkout {
  /** In the order in which they start. */
  readonly parts: readonly Part[];
  readonly http: HttpPart;
  readonly directory: SaleDirectory;
}

export function createCheckout(ports: CheckoutPorts): Checkout {
  const { store, signals, verifier, log } = ports;
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
  const relay = new Relay({ store, sink: ports.sink, directory, log, consumer: ports.consumer });
  const batcher = new Batcher({ store, soldOut, admitted, log, onReserved: (at) => relay.kick(at.sale, at.shard) });
  const onReleased = relay.kick.bind(relay);

  const app = createApp(log);
  app.use(salesRoutes({ directory, store, verifier, log }));
  app.use(purchasesRoutes({ store, orders: ports.orders, verifier, directory, log }));
  finishApp(app, log);
  const hot = purchaseRoute({ directory, verifier, batcher, log });
  const http = httpPart({ app, port: ports.port, log, hot });

  const loops = [sweeper({ store, directory, log, onReleased }), forgetRelays({ store, directory, log })];
  return { parts: [directory, relay, ...loops, http], http, directory };
}
