/** The routes of orders: a buyer's purchases and orders, and internally the ledger. */
import { z } from '@flashsale/platform/config';
import {
  createApp,
  finishApp,
  identityOf,
  parseInput,
  requireIdentity,
  type Express,
  type RequestHandler,
} from '@flashsale/platform/http';
import type { Logger } from '@flashsale/platform/log';
import type { TokenVerifier } from '@flashsale/platform/oidc';
import { decimalAmount, PURCHASE_STATUSES, type PurchaseStatus } from '@flashsale/sale';
import { ledgerRoutes } from './ledger-routes.ts';
import type { BuyerPurchase, LedgerView, Position } from './ports.ts';
import { ORDERED } from './read.ts';

export interface OrdersAppOptions {
  readonly ledger: LedgerView;
  readonly verifier: TokenVerifier;
  readonly log: Logger;
}

export function createOrdersApp({ ledger, verifier, log }: OrdersAppOptions): Express {
  const app = createApp(log);
  const signedIn = requireIdentity(verifier);
  app.get('/api/v1/purchases', signedIn, list(ledger, 'purchases', PURCHASE_STATUSES));
  app.get('/api/v1/orders', signedIn, list(ledger, 'orders', ORDERED));
  app.use('/internal', ledgerRoutes(ledger));
  finishApp(app, log);
  return app;
}

const query = z.object({
  limit: z
    .string()
    .regex(/^([1-9]\d?|100)$/, 'must be a whole number from 1 to 100')
    .default('20')
    .transform(Number),
  after: z
    .string()
    .regex(/^\d{1,15}~[A-Za-z0-9._-]{1,120}$/, 'must be `next` of the page before')
    .transform((text): Position => {
      const [reservedAt = '', id = ''] = text.split('~');
      return { reservedAt: Number(reservedAt), id };
    })
    .optional(),
});

/** `{<name>: […], next?}`, newest first; `next` is the `after` of the page that follows. */
function list(ledger: LedgerView, name: string, statuses: readonly PurchaseStatus[]): RequestHandler {
  return async (req, res) => {
    const { limit, after } = parseInput(query, req.query);
    // One more than asked tells whether there is a next page.
    const rows = await ledger.purchasesOf(identityOf(res).buyer.id, statuses, limit + 1, after);
    const page = rows.slice(0, limit);
    const last = rows.length > limit ? page.at(-1) : undefined;
    res.setHeader('Cache-Control', 'no-store');
    res.json({
      [name]: page.map(shown),
      ...(last ? { next: `${last.reservedAt.getTime()}~${last.id}` } : {}),
    });
  };
}

function shown(row: BuyerPurchase): Record<string, unknown> {
  const { id, sale, sku, quantity, status, currency } = row;
  return {
    id,
    sale,
    sku,
    quantity,
    status,
    total: { amount: decimalAmount(row.amountMinor, currency), currency },
    reservedAt: row.reservedAt.toISOString(),
    ...(row.resolvedAt ? { resolvedAt: row.resolvedAt.toISOString() } : {}),
    ...(row.reason === null ? {} : { reason: row.reason }),
  };
}
