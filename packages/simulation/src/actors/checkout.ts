/** Checkout as a simulated process: its production parts, wired as in its own app.ts, without HTTP server and Express. */
import { Admitted } from '@flashsale/checkout/admitted';
import { Batcher } from '@flashsale/checkout/batcher';
import { forgetRelays } from '@flashsale/checkout/forget-relays';
import { purchaseRoute } from '@flashsale/checkout/purchase';
import { findPurchase } from '@flashsale/checkout/purchases';
import { Relay } from '@flashsale/checkout/relay';
import { SaleDirectory } from '@flashsale/checkout/sale-directory';
import { SoldOut } from '@flashsale/checkout/sold-out';
import { sweeper } from '@flashsale/checkout/sweeper';
import type { HotRoute } from '@flashsale/platform/http';
import type { TokenVerifier } from '@flashsale/platform/oidc';
import type { Buyer } from '@flashsale/sale';
import type { ProcessPorts } from './ports.ts';

/** What buyers reach of a checkout process. */
export interface Checkout {
  readonly purchase: HotRoute;
  readonly find: (id: string) => ReturnType<typeof findPurchase>;
}

/** A token of the simulation is the buyer as JSON. */
export const tokenOf = (buyer: Buyer): string => Buffer.from(JSON.stringify(buyer)).toString('base64url');
const verifier: TokenVerifier = {
  verify: (token) => {
    const buyer = JSON.parse(Buffer.from(token, 'base64url').toString()) as Buyer;
    return { buyer, roles: [], expiresAt: Infinity };
  },
  warm: () => Promise.resolve(),
};

export function startCheckout(ports: ProcessPorts, open: (checkout: Checkout) => void): void {
  const { store, signals, log, life, orders } = ports;
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
  const sink = ports.kafka.producer();
  const relay = new Relay({ store, sink, directory, log, consumer: `${life.name}-${life.number}` });
  const batcher = new Batcher({ store, soldOut, admitted, log, onReserved: (at) => relay.kick(at.sale, at.shard) });
  const onReleased = relay.kick.bind(relay);
  const parts = [
    directory,
    relay,
    sweeper({ store, directory, log, onReleased }),
    forgetRelays({ store, directory, log }),
  ];
  void ports.start(parts).then(() => {
    const purchase = purchaseRoute({ directory, verifier, batcher, log });
    open({ purchase, find: (id) => findPurchase({ store, orders, verifier, directory, log }, id) });
  });
}
