/** Checkout as a simulated process: its production parts, without HTTP server and Express. */
import { findPurchase } from '@flashsale/checkout/purchases';
import { createSelling } from '@flashsale/checkout/selling';
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
  const sink = ports.kafka.producer();
  const consumer = `${life.name}-${life.number}`;
  const { parts, purchase, directory } = createSelling({ store, signals, sink, verifier, log, consumer });
  void ports.start(parts).then(() => {
    open({ purchase, find: (id) => findPurchase({ store, orders, verifier, directory, log }, id) });
  });
}
