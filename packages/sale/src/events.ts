/** What the services tell each other over Kafka. The key of every record is the purchase id. */
import type { PurchaseStatus } from './types.ts';

export const TOPICS = {
  /** `PurchaseReserved`, written by the relay in checkout. */
  purchases: 'flashsale.purchases',
  /** `PurchaseResolved`, written by payments (paid, refused, refunded) and by the relay (expired). */
  payments: 'flashsale.payments',
  /** `RefundRequested`, written by orders where a charge has no sale. */
  refunds: 'flashsale.refunds',
} as const;
export type TopicName = (typeof TOPICS)[keyof typeof TOPICS];

/** The part that every event of a purchase carries, so that no consumer needs another look-up. */
export interface PurchaseFacts {
  /** Purchase id; see `purchase-id.ts`. */
  readonly id: string;
  readonly sale: string;
  readonly sku: string;
  readonly quantity: number;
  readonly buyer: string;
  /** Dense account number, where the buyer has one. */
  readonly buyerNumber?: number;
  /** Price times quantity, in minor units. */
  readonly amountMinor: number;
  readonly currency: string;
  /** Epoch of the sale in which the unit was reserved. */
  readonly epoch: number;
  readonly correlationId: string;
}

export interface PurchaseReserved extends PurchaseFacts {
  readonly type: 'reserved';
  /** Unix ms by Redis TIME. */
  readonly reservedAt: number;
  /** Unix ms; not charged after this. */
  readonly expiresAt: number;
}

export interface PurchaseResolved extends PurchaseFacts {
  readonly type: Exclude<PurchaseStatus, 'reserved'>;
  /** Unix ms. */
  readonly at: number;
  /** Why, in words a buyer may read ("insufficient credit"). */
  readonly reason?: string;
}

export interface RefundRequested extends PurchaseFacts {
  readonly type: 'refund';
  readonly at: number;
  readonly reason: string;
}

export type SaleEvent = PurchaseReserved | PurchaseResolved | RefundRequested;
