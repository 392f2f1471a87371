/** The texts in which Redis keeps holds and outbox entries; the Lua scripts read and write the same (include/hold.lua). */
import type { PurchaseFacts, PurchaseReserved, PurchaseResolved } from './events.ts';
import type { ReserveRequest } from './ports.ts';
import { PURCHASE_STATUSES } from './types.ts';
import type { Buyer, Hold } from './types.ts';

/** Fields of a hold, separated by line feeds: status (index), expiresAt, epoch, sku, quantity, number, correlation, buyer. */
const FIELDS = 8;

/** The part of a hold that the caller knows; the script puts status, expiry, epoch and sku in front of it. */
export function holdBody(request: ReserveRequest): string {
  return bodyOf(request.quantity, request.buyer, request.correlationId);
}

function bodyOf(quantity: number, buyer: Buyer, correlationId: string): string {
  // A line feed would shift the fields behind it; the buyer id is last, so there it does no harm.
  const correlation = correlationId.includes('\n') ? correlationId.replaceAll('\n', ' ') : correlationId;
  return `${quantity}\n${buyer.number ?? ''}\n${correlation}\n${buyer.id}`;
}

/** A whole hold as text, for a rebuild. */
export function encodeHold(hold: Hold, epoch: number): string {
  const status = PURCHASE_STATUSES.indexOf(hold.status);
  return `${status}\n${hold.expiresAt}\n${epoch}\n${hold.sku}\n${bodyOf(hold.quantity, hold.buyer, '')}`;
}

/** What a hold's text says: the hold, and what only its events carry. */
export interface DecodedHold {
  readonly hold: Hold;
  readonly epoch: number;
  readonly correlationId: string;
}

/** Throws where the text is not a hold: Redis keeps something else there. */
export function decodeHold(id: string, text: string): DecodedHold {
  const fields = text.split('\n');
  const [status, expiresAt, epoch, sku, quantity, number, correlationId] = fields as [string, ...string[]];
  const named = PURCHASE_STATUSES[Number(status)];
  if (fields.length < FIELDS || named === undefined) throw new Error(`The hold of ${id} cannot be read`);
  const buyerId = fields.slice(FIELDS - 1).join('\n');
  const buyer = number === '' ? { id: buyerId } : { id: buyerId, number: Number(number) };
  return {
    hold: { id, sku: sku as string, quantity: Number(quantity), buyer, status: named, expiresAt: Number(expiresAt) },
    epoch: Number(epoch),
    correlationId: correlationId as string,
  };
}

/**
 * The events of one outbox entry. Its first field names their kind (`reserved` or `expired`) and holds the time
 * (Unix ms), the price of one unit in minor units and the currency; each further field is a purchase id with its hold.
 */
export function decodeOutboxEntry(sale: string, fields: readonly string[]): (PurchaseReserved | PurchaseResolved)[] {
  const [kind, head] = fields as [string, string];
  const [time, price, currency] = head.split(' ') as [string, string, string];
  const events: (PurchaseReserved | PurchaseResolved)[] = [];
  for (let i = 2; i + 1 < fields.length; i += 2) {
    const { hold, epoch, correlationId } = decodeHold(fields[i] as string, fields[i + 1] as string);
    const facts: PurchaseFacts = {
      id: hold.id,
      sale,
      sku: hold.sku,
      quantity: hold.quantity,
      buyer: hold.buyer.id,
      ...(hold.buyer.number === undefined ? {} : { buyerNumber: hold.buyer.number }),
      amountMinor: Number(price) * hold.quantity,
      currency,
      epoch,
      correlationId,
    };
    if (kind === 'reserved')
      events.push({ ...facts, type: 'reserved', reservedAt: Number(time), expiresAt: hold.expiresAt });
    else events.push({ ...facts, type: 'expired', at: Number(time), reason: 'not paid in time' });
  }
  return events;
}
