/** Rebuilds a sale's stock after Redis lost it: what the ledger and the log say, under a new epoch. */
import {
  shardItemOf,
  soundEvents,
  TOPICS,
  type Hold,
  type Ledger,
  type LedgerEntry,
  type PurchaseLog,
  type PurchaseReserved,
  type PurchaseStatus,
  type Sale,
  type SaleEvent,
} from '@flashsale/sale';

/** One purchase as log and ledger together know it. */
interface Known {
  reserved?: PurchaseReserved;
  entry?: LedgerEntry;
  readonly types: Set<SaleEvent['type']>;
}

/**
 * The holds a rebuilt sale starts with, and the highest epoch found in the log.
 * A purchase without an ending becomes a hold with its full time again, since its payment may be under way.
 * `waiting`: events that were in an outbox before the log was read; the relay has yet to write them, or just has.
 * A reservation that is in neither is forgotten: nobody was charged for it, and the buyer's retry reserves anew.
 */
export async function holdsFromRecords(
  sale: Sale,
  sources: { readonly log: Pick<PurchaseLog, 'readAll'>; readonly ledger: Pick<Ledger, 'entries'> },
  now: number,
  waiting: readonly SaleEvent[] = [],
): Promise<{ holds: Hold[]; epoch: number }> {
  const known = new Map<string, Known>();
  const at = (id: string): Known => {
    const found = known.get(id) ?? { types: new Set() };
    known.set(id, found);
    return found;
  };
  let epoch = 0;
  const take = (event: SaleEvent): void => {
    // No consumer takes an unsound event, so none can become a sale; it must not keep the others from coming back.
    if (event.sale !== sale.name || !belongs(event, sale)) return;
    epoch = Math.max(epoch, event.epoch);
    at(event.id).types.add(event.type);
    if (event.type === 'reserved') at(event.id).reserved = event;
  };
  for (const topic of [TOPICS.purchases, TOPICS.payments]) {
    for await (const event of sources.log.readAll(topic)) take(event);
  }
  for (const event of waiting) take(event);
  // The ledger last: whatever it has decided by now wins over the log.
  for await (const entry of sources.ledger.entries(sale.name)) at(entry.id).entry = entry;
  const holds = [...known].flatMap(([id, purchase]) => toHold(id, purchase, now + sale.holdForMs));
  return { holds, epoch };
}

function belongs(event: SaleEvent, sale: Sale): boolean {
  const shard = shardItemOf(event)?.shard ?? Infinity;
  const sold = sale.items.some((item) => item.sku === event.sku);
  return sold && shard < sale.warm.shards && soundEvents([event]).failures.length === 0;
}

/** Status by the ledger where it is an ending there; else the ending the log has, but `paid` only the ledger confirms. */
function statusOf({ entry, types }: Known): PurchaseStatus {
  if (entry && entry.status !== 'reserved') return entry.status;
  if (types.has('refunded')) return 'refunded';
  if (types.has('refused')) return 'refused';
  if (types.has('expired') && !types.has('paid')) return 'expired';
  return 'reserved';
}

function toHold(id: string, purchase: Known, expiresAt: number): Hold[] {
  // A key may come again for other goods once Redis has lost it: what is sold, the ledger says.
  const { reserved, entry } = purchase;
  const facts = entry?.status === 'paid' ? entry : (reserved ?? entry);
  if (!facts) return [];
  const buyer = { id: facts.buyer, ...(facts.buyerNumber === undefined ? {} : { number: facts.buyerNumber }) };
  return [{ id, sku: facts.sku, quantity: facts.quantity, buyer, status: statusOf(purchase), expiresAt }];
}
