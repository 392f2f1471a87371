/** Ends purchases without a sale: the hold in Redis, then the log, then word to the buyers. */
import {
  resolveByShard,
  TOPICS,
  type BuyerUpdate,
  type PurchaseFacts,
  type PurchaseResolved,
  type ResolveAnswer,
} from '@flashsale/sale';
import type { PaymentPorts } from './ports.ts';

/**
 * Releases the holds of `purchases` as `status`. Answers by purchase id; a hold that is not there, or that ended in
 * another way, needs nothing more. Throws StoreNotReady where Redis cannot say.
 */
export async function release(
  ports: Pick<PaymentPorts, 'store'>,
  purchases: readonly PurchaseFacts[],
  status: 'refused' | 'refunded',
): Promise<Map<string, ResolveAnswer>> {
  return await resolveByShard(purchases, (at, batch) =>
    ports.store.release(
      at,
      batch.map(({ id, epoch }) => ({ id, status, epoch })),
    ),
  );
}

/** Writes what purchases came to into the log. */
export async function publish(ports: Pick<PaymentPorts, 'send'>, resolved: readonly PurchaseResolved[]): Promise<void> {
  if (resolved.length > 0) await ports.send(TOPICS.payments, resolved);
}

/** Tells buyers. Pushes may be lost, so a failure is logged and no more. */
export async function tell(
  ports: Pick<PaymentPorts, 'signals' | 'log'>,
  resolved: readonly PurchaseResolved[],
): Promise<void> {
  if (resolved.length === 0) return;
  try {
    await ports.signals.notifyBuyers(resolved.map(updateOf));
  } catch (error) {
    ports.log.warn({ err: error }, 'a push was lost');
  }
}

function updateOf(event: PurchaseResolved): BuyerUpdate {
  const { id, sale, sku, quantity, type: status, reason } = event;
  const purchase = { id, sale, sku, quantity, status };
  return { buyer: event.buyer, purchase: reason === undefined ? purchase : { ...purchase, reason } };
}

/** The event of a purchase that ended now, from the event that led to it. */
export function resolvedFrom(
  event: PurchaseFacts,
  type: PurchaseResolved['type'],
  at: number,
  reason: string | null,
): PurchaseResolved {
  const { id, sale, sku, quantity, buyer, buyerNumber, amountMinor, currency, epoch, correlationId } = event;
  return {
    type,
    id,
    sale,
    sku,
    quantity,
    buyer,
    ...(buyerNumber === undefined ? {} : { buyerNumber }),
    amountMinor,
    currency,
    epoch,
    correlationId,
    at,
    ...(reason === null ? {} : { reason }),
  };
}
