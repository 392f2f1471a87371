/** `GET /api/v1/purchases/{id}`: what became of a purchase, told to its buyer only. */
import { HttpError, identityOf, type InternalClient, requireIdentity, Router } from '@flashsale/platform/http';
import type { Logger } from '@flashsale/platform/log';
import type { TokenVerifier } from '@flashsale/platform/oidc';
import {
  type Hold,
  type LedgerEntry,
  parsePurchaseId,
  type PurchaseStatus,
  SaleError,
  type SaleStore,
} from '@flashsale/sale';
import type { SaleDirectory } from './sale-directory.ts';

export interface PurchasesOptions {
  readonly store: Pick<SaleStore, 'hold'>;
  readonly orders: Pick<InternalClient, 'json'>;
  readonly verifier: TokenVerifier;
  readonly directory: Pick<SaleDirectory, 'mayExist'>;
  readonly log: Logger;
}

/** A purchase as it is now. */
export interface Found {
  readonly sku: string;
  readonly quantity: number;
  readonly buyer: string;
  readonly status: PurchaseStatus;
  readonly expiresAt?: string;
}

export function purchasesRoutes(options: PurchasesOptions): Router {
  const router = Router();
  router.get('/api/v1/purchases/:id', requireIdentity(options.verifier), async (req, res) => {
    const { id } = req.params as { id: string };
    const ref = parsePurchaseId(id);
    // A sale that never was costs no look-up.
    const found = ref && options.directory.mayExist(ref.sale) && (await findPurchase(options, id));
    // Another buyer's purchase is not told from none: its existence is nobody's business.
    if (!found || found.buyer !== identityOf(res).buyer.id) {
      throw new SaleError('purchase_not_found', 'You have no purchase of that id.');
    }
    const { sku, quantity, status, expiresAt } = found;
    res.json({ id, sale: ref.sale, sku, quantity, status, expiresAt });
  });
  return router;
}

/** From Redis while the hold is open or ended without a sale; from the ledger for what is paid, since it decides that. */
export async function findPurchase(options: PurchasesOptions, id: string): Promise<Found | undefined> {
  const hold = await readHold(options, id);
  if (hold && hold !== 'unknown' && hold.status !== 'paid') return fromHold(hold, hold.status);
  const entry = await readLedger(options, id);
  if (entry) return { sku: entry.sku, quantity: entry.quantity, buyer: entry.buyer, status: entry.status };
  // It may be reserved and on its way to the ledger.
  if (hold === 'unknown') throw new SaleError('try_again_later', 'The purchase could not be looked up.');
  // Settled in Redis, not yet in the ledger: not confirmed yet.
  return hold && fromHold(hold, 'reserved');
}

function fromHold(hold: Hold, status: PurchaseStatus): Found {
  const { sku, quantity, buyer, expiresAt } = hold;
  return { sku, quantity, buyer: buyer.id, status, expiresAt: new Date(expiresAt).toISOString() };
}

async function readHold({ store, log }: PurchasesOptions, id: string): Promise<Hold | 'unknown' | undefined> {
  try {
    return await store.hold(id);
  } catch (error) {
    log.warn({ err: error, purchase: id }, 'cannot read the hold; asking the ledger');
    return 'unknown';
  }
}

async function readLedger({ orders, log }: PurchasesOptions, id: string): Promise<LedgerEntry | undefined> {
  try {
    return await orders.json<LedgerEntry>('GET', `/internal/purchases/${encodeURIComponent(id)}`);
  } catch (error) {
    if (error instanceof HttpError && error.status === 404) return undefined;
    log.warn({ err: error, purchase: id }, 'cannot read the ledger');
    throw new SaleError('try_again_later', 'The purchase could not be looked up.');
  }
}
