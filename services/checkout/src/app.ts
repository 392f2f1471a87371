/** The parts of checkout and its routes, around ports: the same for the service, its tests and the benchmark. */
import { createApp, finishApp, httpPart, type HttpPart, type InternalClient } from '@flashsale/platform/http';
import type { Part } from '@flashsale/platform/run';
import { purchasesRoutes } from './purchases.ts';
import type { SaleDirectory } from './sale-directory.ts';
import { salesRoutes } from './sales.ts';
import { createSelling, type SellingPorts } from './selling.ts';

export interface CheckoutPorts extends SellingPorts {
  readonly orders: Pick<InternalClient, 'json'>;
  readonly port: number;
}

export interface Checkout {
  /** In the order in which they start. */
  readonly parts: readonly Part[];
  readonly http: HttpPart;
  readonly directory: SaleDirectory;
}

export function createCheckout(ports: CheckoutPorts): Checkout {
  const { store, verifier, log } = ports;
  const { parts, purchase, directory } = createSelling(ports);

  const app = createApp(log);
  app.use(salesRoutes({ directory, store, verifier, log }));
  app.use(purchasesRoutes({ store, orders: ports.orders, verifier, directory, log }));
  finishApp(app, log);
  const http = httpPart({ app, port: ports.port, log, hot: purchase });

  return { parts: [...parts, http], http, directory };
}
