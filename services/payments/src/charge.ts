/** Charges buyers for what they reserved: group `payments` of `flashsale.purchases`. */
import type { FailedEvent } from '@flashsale/platform/kafka';
import { Counter } from '@flashsale/platform/metrics';
import { soundEvents, type PurchaseReserved, type SaleEvent } from '@flashsale/sale';
import { asCharged, decideCharges, type Decisions } from './decide-charges.ts';
import { publish, release, resolvedFrom, tell } from './give-back.ts';
import type { PaymentPorts } from './ports.ts';

const decided = new Counter({
  name: 'flashsale_charges_total',
  help: 'Purchases by what their charge came to; overdue ones are left to the sweeper',
  labelNames: ['outcome'],
});

/** Why a charge goes back whose key came again with another body. */
const OTHER_BODY = 'the same key was used again for another purchase';

/**
 * Handles one batch: book first, then Redis, the log, the buyers. Each step may be repeated, so a crash anywhere is
 * mended by the batch coming again: charges in the book stand, and lead to the same releases and events.
 */
export function createCharge(ports: PaymentPorts): (events: readonly SaleEvent[]) => Promise<readonly FailedEvent[]> {
  return async (events) => {
    const { sound, failures } = soundEvents(events.filter((event) => event.type === 'reserved'));
    if (sound.length === 0) return failures;
    const now = await ports.store.time();
    const { charges, differing } = await bookCharges(ports, sound, now);

    const unique = new Map(sound.map((purchase) => [purchase.id, purchase]));
    const paid = [];
    const refused = [];
    const refunded = [];
    for (const [id, charge] of charges) {
      const purchase = unique.get(id);
      if (!purchase) continue;
      // The ledger takes back what was charged, whatever is asked for now.
      if (differing.has(id)) refunded.push(resolvedFrom(asCharged(purchase, charge), 'refunded', now, charge.reason));
      // One given back since was paid all the same: the ledger knows what came after.
      else if (charge.status === 'refused') refused.push(resolvedFrom(purchase, 'refused', now, charge.reason));
      else paid.push(resolvedFrom(purchase, 'paid', now, null));
    }
    const answers = await release(ports, refused, 'refused');
    // The hold in Redis may be for what was charged or for what came after it.
    const asked = sound.filter(({ id }) => differing.has(id));
    await release(ports, [...refunded, ...asked], 'refunded');
    // A hold that the sweeper ended first is `expired` for everyone: its own event is on its way.
    const ended = [...refused.filter(({ id }) => answers.get(id)?.code !== 'otherwise'), ...refunded];
    await publish(ports, [...paid, ...ended]);
    await tell(ports, ended);
    count({ paid: paid.length, refused: refused.length, refunded: refunded.length }, unique.size);
    return failures;
  };
}

async function bookCharges(
  ports: PaymentPorts,
  batch: readonly PurchaseReserved[],
  now: number,
): Promise<Pick<Decisions, 'charges' | 'differing'>> {
  const owners = new Map(batch.map(({ buyer, currency }) => [buyer, currency]));
  const ids = batch.map(({ id }) => id);
  return await ports.book.transaction(async (tx) => {
    const accounts = await tx.openAndLock(owners, ports.openingCreditMinor);
    // Read under the locks: the same purchase in another process now has its charge in the book, or waits for us.
    const known = await tx.findCharges(ids);
    const decisions = decideCharges(batch, accounts, known, now);
    if (decisions.fresh.length > 0) await tx.writeCharges(decisions.fresh, decisions.charges);
    await tx.debit(decisions.debits);
    if (decisions.differing.size === 0) return decisions;
    const differing = [...decisions.differing];
    await tx.giveBack(
      differing,
      differing.map(() => OTHER_BODY),
    );
    const given = await tx.findCharges(differing);
    return { differing: decisions.differing, charges: new Map([...decisions.charges, ...given]) };
  });
}

function count(outcomes: Readonly<Record<'paid' | 'refused' | 'refunded', number>>, all: number): void {
  for (const [outcome, purchases] of Object.entries(outcomes)) decided.inc({ outcome }, purchases);
  decided.inc({ outcome: 'overdue' }, all - outcomes.paid - outcomes.refused - outcomes.refunded);
}
