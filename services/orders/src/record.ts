/** Keeps every purchase, and decides what is sold: group `orders` of `flashsale.purchases` and `flashsale.payments`. */
import type { FailedEvent } from '@flashsale/platform/kafka';
import { Counter } from '@flashsale/platform/metrics';
import {
  resolveByShard,
  soundEvents,
  TOPICS,
  type PurchaseReserved,
  type PurchaseResolved,
  type RefundRequested,
  type ResolveAnswer,
  type SaleEvent,
} from '@flashsale/sale';
import { decide, inboxId, type Decisions } from './decide.ts';
import { GuardRefused, GUARDS, type OrderPorts } from './ports.ts';

const outcomes = new Counter({
  name: 'flashsale_ledger_decisions_total',
  help: 'Resolved purchases by what the ledger made of them; a repeated event counts again',
  labelNames: ['outcome'],
});

type Settled = ReadonlyMap<string, ResolveAnswer>;
type Outcome = Pick<Decisions, 'confirmed' | 'expired' | 'refunds'> & { readonly failures: readonly FailedEvent[] };

/**
 * Handles one batch: Redis settles, the ledger decides in one transaction, then refunds are asked for and buyers are
 * told. Each step may be repeated, so a crash anywhere is mended by the batch coming again.
 * Throws StoreNotReady and NotAllocated: the batch waits until the operator has done its part.
 */
export function createRecord(ports: OrderPorts): (events: readonly SaleEvent[]) => Promise<readonly FailedEvent[]> {
  return async (events) => {
    const { sound, failures } = soundEvents(events.filter((event) => event.type !== 'refund'));
    const reserved = sound.filter((event): event is PurchaseReserved => event.type === 'reserved');
    const resolved = sound.filter((event): event is PurchaseResolved => event.type !== 'reserved');
    if (reserved.length > 0) await ports.ledger.note(reserved);
    if (resolved.length === 0) return failures;

    const settled = await resolveByShard(
      resolved.filter(({ type }) => type === 'paid'),
      (at, batch) =>
        ports.store.settle(
          at,
          batch.map(({ id, epoch }) => ({ id, epoch })),
        ),
    );
    const outcome = await resolve(ports, resolved, settled);
    if (outcome.refunds.length > 0) await ports.send(TOPICS.refunds, outcome.refunds.map(refundOf));
    await tell(ports, [...outcome.confirmed, ...outcome.expired]);
    count(outcome);
    return [...failures, ...outcome.failures];
  };
}

/** Where a guard refuses the batch, halves it until the refused purchases are alone: those become refunds. */
async function resolve(ports: OrderPorts, events: readonly PurchaseResolved[], settled: Settled): Promise<Outcome> {
  try {
    return await book(ports, events, settled, null);
  } catch (error) {
    if (!(error instanceof GuardRefused)) throw error;
    const [first] = events;
    if (events.length === 1 && first) {
      if (first.type === 'paid') return await book(ports, events, settled, GUARDS[error.guard]);
      return { confirmed: [], expired: [], refunds: [], failures: [{ event: first, error }] };
    }
    const middle = Math.ceil(events.length / 2);
    const before = await resolve(ports, events.slice(0, middle), settled);
    const after = await resolve(ports, events.slice(middle), settled);
    return {
      confirmed: [...before.confirmed, ...after.confirmed],
      expired: [...before.expired, ...after.expired],
      refunds: [...before.refunds, ...after.refunds],
      failures: [...before.failures, ...after.failures],
    };
  }
}

async function book(
  ports: OrderPorts,
  events: readonly PurchaseResolved[],
  settled: Settled,
  barred: string | null,
): Promise<Outcome> {
  const ids = [...new Set(events.map(({ id }) => id))];
  return await ports.ledger.transaction(async (tx) => {
    const fresh = await tx.admit(events.map(inboxId));
    const statuses = await tx.lockStatuses(ids);
    const unknown = events.filter(({ id }) => !statuses.has(id));
    if (unknown.length > 0) {
      await tx.note(unknown);
      const noted = await tx.lockStatuses(unknown.map(({ id }) => id));
      for (const [id, status] of noted) statuses.set(id, status);
    }
    const decisions = decide(events, { statuses, fresh, settled, barred });
    await tx.writeChanges([...decisions.changes.values()]);
    await tx.countSold(decisions.moved);
    return { ...decisions, failures: [] };
  });
}

function refundOf({ event, reason }: Decisions['refunds'][number]): RefundRequested {
  return { ...event, type: 'refund', at: Date.now(), reason };
}

/** Pushes may be lost, so a failure is logged and no more. */
async function tell(ports: OrderPorts, events: readonly PurchaseResolved[]): Promise<void> {
  if (events.length === 0) return;
  try {
    await ports.signals.notifyBuyers(
      events.map(({ id, sale, sku, quantity, buyer, type: status }) => ({
        buyer,
        purchase: { id, sale, sku, quantity, status },
      })),
    );
  } catch (error) {
    ports.log.warn({ err: error }, 'a push was lost');
  }
}

function count(outcome: Outcome): void {
  outcomes.inc({ outcome: 'confirmed' }, outcome.confirmed.length);
  outcomes.inc({ outcome: 'expired' }, outcome.expired.length);
  outcomes.inc({ outcome: 'refund' }, outcome.refunds.length);
}
