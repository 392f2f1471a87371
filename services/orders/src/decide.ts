/** What an event does to a purchase in the ledger: pure. Events may come twice and in any order. */
import { canBecome, columnOf } from '@flashsale/sale';
import type { PurchaseFacts, PurchaseResolved, PurchaseStatus, ResolveAnswer } from '@flashsale/sale';

export interface Change {
  readonly id: string;
  readonly status: PurchaseStatus;
  readonly at: number;
  readonly reason: string | null;
  /** What was paid for, with `paid`: the row may have been noted for another body of the same key. */
  readonly goods?: PurchaseFacts;
}

export interface Decisions {
  /** The last state of each purchase that changed, by id. */
  readonly changes: ReadonlyMap<string, Change>;
  /** Units sold (positive) or given back (negative), each with its buyer. */
  readonly moved: readonly { readonly facts: PurchaseFacts; readonly units: number }[];
  /** Purchases that the ledger has as paid: the buyer may be told. */
  readonly confirmed: readonly PurchaseResolved[];
  readonly expired: readonly PurchaseResolved[];
  /** Charged purchases that are no sale: the money has to go back. */
  readonly refunds: readonly { readonly event: PurchaseResolved; readonly reason: string }[];
}

export interface Known {
  /** Status of each purchase of the batch in the ledger. */
  readonly statuses: ReadonlyMap<string, PurchaseStatus>;
  /** Inbox ids of the events that were never decided before. */
  readonly fresh: ReadonlySet<string>;
  /** What Redis said when the paid ones were settled. */
  readonly settled: ReadonlyMap<string, ResolveAnswer>;
  /** Why a guard of the ledger lets none of the paid ones be a sale; null where none does. */
  readonly barred: string | null;
}

/** `<purchase id>:<event type>` */
export const inboxId = (event: PurchaseResolved): string => `${event.id}:${event.type}`;

/** Folds the events, in their order, over what is known. */
export function decide(events: readonly PurchaseResolved[], known: Known): Decisions {
  const statuses = new Map(known.statuses);
  const fresh = new Set(known.fresh);
  const changes = new Map<string, Change>();
  const moved: Decisions['moved'][number][] = [];
  const steps: Step[] = [];
  for (const event of events) {
    const before = statuses.get(event.id) ?? 'reserved';
    // An event that comes twice in one batch is new once.
    const verdict = judge(event, before, fresh.delete(inboxId(event)), known);
    const after = verdict.becomes ?? before;
    statuses.set(event.id, after);
    if (verdict.becomes) {
      // A refund after it, in the same batch, is of the same goods.
      const goods = after === 'paid' ? event : changes.get(event.id)?.goods;
      const change = { id: event.id, status: after, at: event.at, reason: verdict.reason };
      changes.set(event.id, goods ? { ...change, goods } : change);
    }
    const units = (soldAs(after) - soldAs(before)) * event.quantity;
    if (units !== 0) moved.push({ facts: event, units });
    steps.push({ event, after, ...verdict });
  }
  const eventsWhere = (test: (step: Step) => boolean): PurchaseResolved[] =>
    steps.filter(test).map(({ event }) => event);
  return {
    changes,
    moved,
    confirmed: eventsWhere(({ event, after }) => event.type === 'paid' && after === 'paid'),
    expired: eventsWhere(({ becomes }) => becomes === 'expired'),
    refunds: steps.flatMap(({ event, refund }) => (refund === undefined ? [] : [{ event, reason: refund }])),
  };
}

const soldAs = (status: PurchaseStatus): number => (columnOf(status) === 'sold' ? 1 : 0);

interface Verdict {
  /** Absent: the row stays as it is. */
  readonly becomes?: PurchaseStatus;
  readonly reason: string | null;
  /** Why the money has to go back. */
  readonly refund?: string;
}

interface Step extends Verdict {
  readonly event: PurchaseResolved;
  readonly after: PurchaseStatus;
}

function judge(event: PurchaseResolved, before: PurchaseStatus, isNew: boolean, known: Known): Verdict {
  if (event.type !== 'paid') {
    return canBecome(before, event.type) ? { becomes: event.type, reason: event.reason ?? null } : { reason: null };
  }
  if (before === 'paid') return { reason: null };
  const settled = known.settled.get(event.id);
  const reason = objection(before, isNew, settled) ?? known.barred;
  if (reason === null) return { becomes: 'paid', reason };
  const refund = moneyIsDue(before, settled) ? { refund: reason } : {};
  // The row keeps its status until the money is back; it says meanwhile why it is no sale.
  return isNew && before === 'reserved' ? { becomes: before, reason, ...refund } : { reason, ...refund };
}

/** Why a charged purchase is no sale, in words a buyer may read; null where it may be one. */
function objection(before: PurchaseStatus, isNew: boolean, settled: ResolveAnswer | undefined): string | null {
  if (settled === undefined || settled.code === 'missing') return 'the reservation was lost';
  if (settled.code === 'otherwise') return `the reservation had ended: ${settled.status ?? 'unknown'}`;
  if (before !== 'reserved') return `the purchase had ended: ${before}`;
  // A decision against a sale stands, though the guard might let it pass by now: its refund is on its way.
  return isNew ? null : 'the purchase could not be completed';
}

/** False where the refund is through already. Else it is asked for, again if need be: the one before may be lost. */
function moneyIsDue(before: PurchaseStatus, settled: ResolveAnswer | undefined): boolean {
  if (settled?.status === 'refunded') return false;
  // Refunded here and paid in Redis: a refund repeated frees the units, and moves no money twice.
  return before !== 'refunded' || settled?.code === 'done' || settled?.code === 'already';
}
