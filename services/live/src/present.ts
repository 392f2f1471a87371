/** What became of a purchase, as of now: Redis knows the open ones, the ledger alone says what is paid. */
import { HttpError, type InternalClient } from '@flashsale/platform/http';
import type { Hold, LedgerEntry, PurchaseStatus } from '@flashsale/sale';

export interface PresentPurchase {
  readonly buyer: string;
  readonly sku: string;
  readonly quantity: number;
  readonly status: PurchaseStatus;
  /** Unix ms; absent once only the ledger knows the purchase. */
  readonly expiresAt?: number;
}

/** Undefined where there is no such purchase. Throws where Redis or the ledger cannot be asked. */
export type PresentState = (id: string) => Promise<PresentPurchase | undefined>;

export function presentState(
  hold: (id: string) => Promise<Hold | undefined>,
  orders: Pick<InternalClient, 'json'>,
): PresentState {
  return async (id) => {
    const found = await hold(id);
    if (found && found.status !== 'paid') return fromHold(found, found.status);
    const entry = await ledgerEntry(orders, id);
    if (entry) return { buyer: entry.buyer, sku: entry.sku, quantity: entry.quantity, status: entry.status };
    // Settled in Redis and not yet in the ledger: not confirmed. The push comes with the ledger row.
    return found && fromHold(found, 'reserved');
  };
}

function fromHold({ buyer, sku, quantity, expiresAt }: Hold, status: PurchaseStatus): PresentPurchase {
  return { buyer: buyer.id, sku, quantity, status, expiresAt };
}

async function ledgerEntry(orders: Pick<InternalClient, 'json'>, id: string): Promise<LedgerEntry | undefined> {
  try {
    return await orders.json<LedgerEntry>('GET', `/internal/purchases/${encodeURIComponent(id)}`);
  } catch (error) {
    if (error instanceof HttpError && error.status === 404) return undefined;
    throw error;
  }
}
