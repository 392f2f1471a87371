/** Gives money back where a charge has no sale: group `payments-refunds` of `flashsale.refunds`. */
import type { FailedEvent } from '@flashsale/platform/kafka';
import { Counter } from '@flashsale/platform/metrics';
import { soundEvents, type RefundRequested, type SaleEvent } from '@flashsale/sale';
import type { Charge } from './decide-charges.ts';
import { publish, release, resolvedFrom, tell } from './give-back.ts';
import type { PaymentPorts } from './ports.ts';

const refunds = new Counter({ name: 'flashsale_refunds_total', help: 'Charges given back' });

/**
 * Handles one batch: book first, then Redis, the log, the buyers; each step may be repeated. A charge is given back
 * once only. A purchase without a charge fails on its own: there is nothing to give back, and somebody must look.
 */
export function createRefund(ports: PaymentPorts): (events: readonly SaleEvent[]) => Promise<readonly FailedEvent[]> {
  return async (events) => {
    const { sound, failures } = soundEvents(events.filter((event) => event.type === 'refund'));
    const requests = [...new Map(sound.map((request) => [request.id, request])).values()];
    if (requests.length === 0) return failures;
    const known = await bookRefunds(ports, requests);

    const due = requests.filter(({ id }) => known.get(id)?.status === 'refunded');
    const now = Date.now();
    const refunded = due.map((request) =>
      resolvedFrom(request, 'refunded', now, known.get(request.id)?.reason ?? null),
    );
    await release(ports, refunded, 'refunded');
    await publish(ports, refunded);
    await tell(ports, refunded);
    const strays = requests.filter(({ id }) => known.get(id)?.status !== 'refunded');
    return [...failures, ...strays.map((event) => ({ event, error: new Error(`${event.id} was never charged`) }))];
  };
}

/** Returns the charges as they are after it. */
async function bookRefunds(
  ports: PaymentPorts,
  requests: readonly RefundRequested[],
): Promise<ReadonlyMap<string, Charge>> {
  const buyers = [...new Set(requests.map(({ buyer }) => buyer))];
  const ids = requests.map(({ id }) => id);
  const reasons = requests.map(({ reason }) => reason);
  return await ports.book.transaction(async (tx) => {
    await tx.lockAccounts(buyers);
    refunds.inc(await tx.giveBack(ids, reasons));
    return await tx.findCharges(ids);
  });
}
