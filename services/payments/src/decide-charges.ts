/** Which purchases of a batch are charged: pure, one after the other, each seeing the credit the ones before it left. */
import type { PurchaseReserved } from '@flashsale/sale';

export interface Account {
  readonly buyer: string;
  readonly creditMinor: number;
  readonly currency: string;
}

/** What a purchase came to, and for what. `refunded`: it was charged and given back since. */
export interface Charge {
  readonly status: 'charged' | 'refused' | 'refunded';
  readonly reason: string | null;
  /** Null in charges from before goods were noted. */
  readonly sku: string | null;
  readonly quantity: number | null;
  readonly amountMinor: number;
  readonly currency: string;
}

export interface Decisions {
  /** By purchase id, in the order of the batch, also those known before. A purchase past its time has none. */
  readonly charges: Map<string, Charge>;
  /** Those of `charges` that are not in the book yet. */
  readonly fresh: readonly PurchaseReserved[];
  /** Minor units taken now, by buyer. */
  readonly debits: Map<string, number>;
  /**
   * Ids of those that were charged for something else: their key came again with another body, after Redis had lost
   * the first. Nobody may get other goods than were paid for, so the charge has to go back.
   */
  readonly differing: Set<string>;
}

/**
 * `known` holds the charges that are in the book already: they stand, so a repeated batch comes to the same.
 * `now` is Unix ms by the clock that set `expiresAt`.
 */
export function decideCharges(
  batch: readonly PurchaseReserved[],
  accounts: ReadonlyMap<string, Account>,
  known: ReadonlyMap<string, Charge>,
  now: number,
): Decisions {
  const charges = new Map<string, Charge>();
  const fresh: PurchaseReserved[] = [];
  const debits = new Map<string, number>();
  const differing = new Set<string>();
  for (const purchase of batch) {
    const before = charges.get(purchase.id) ?? known.get(purchase.id);
    if (before) {
      charges.set(purchase.id, before);
      if (before.status !== 'refused' && differs(purchase, before)) differing.add(purchase.id);
      continue;
    }
    // The sweeper ends a purchase whose time is over, and frees its units.
    if (purchase.expiresAt <= now) continue;
    const spent = debits.get(purchase.buyer) ?? 0;
    const reason = objection(purchase, accounts.get(purchase.buyer), spent);
    const { sku, quantity, amountMinor, currency } = purchase;
    const status = reason === null ? 'charged' : 'refused';
    charges.set(purchase.id, { status, reason, sku, quantity, amountMinor, currency });
    fresh.push(purchase);
    if (reason === null) debits.set(purchase.buyer, spent + purchase.amountMinor);
  }
  return { charges, fresh, debits, differing };
}

function differs(purchase: PurchaseReserved, charge: Charge): boolean {
  const { sku, quantity, amountMinor, currency } = asCharged(purchase, charge);
  return (
    sku !== purchase.sku ||
    quantity !== purchase.quantity ||
    amountMinor !== purchase.amountMinor ||
    currency !== purchase.currency
  );
}

/** The purchase as it was charged. */
export function asCharged(purchase: PurchaseReserved, charge: Charge): PurchaseReserved {
  const { sku, quantity, amountMinor, currency } = charge;
  return { ...purchase, sku: sku ?? purchase.sku, quantity: quantity ?? purchase.quantity, amountMinor, currency };
}

/** Why not, in words a buyer may read; null where nothing speaks against it. */
function objection(purchase: PurchaseReserved, account: Account | undefined, spent: number): string | null {
  if (!account) return 'no account';
  if (account.currency !== purchase.currency) return `the account is in ${account.currency}`;
  return account.creditMinor - spent >= purchase.amountMinor ? null : 'insufficient credit';
}
