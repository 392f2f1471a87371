/** The nouns of a flash sale, in the domain's units: milliseconds, minor units of money, whole units of stock. */

/** An amount in a currency. `minor` is the amount in the currency's smallest unit (129.00 EUR is 12900). */
export interface Money {
  readonly minor: number;
  readonly currency: string;
}

export interface SaleItem {
  readonly sku: string;
  readonly title: string;
  /** Units put on sale. */
  readonly stock: number;
  /** Most units one buyer may hold or own. */
  readonly perBuyer: number;
  readonly price: Money;
}

/** What happens where the sale is not Armed at `opensAt`. */
export type NotReadyPolicy = 'Delay' | 'Open' | 'Abort';

export interface LagRule {
  readonly topic: string;
  readonly group: string;
  /** Records of lag one replica is meant to have. */
  readonly perReplica: number;
}

export interface ScaleRule {
  readonly target: { readonly apiVersion: string; readonly kind: string; readonly name: string };
  readonly min: number;
  readonly max: number;
  /** Replicas that must be Ready before the sale is Armed. */
  readonly warm: number;
  readonly lag: LagRule;
}

/** A sale as its owner asked for it: the FlashSale resource, checked and in the domain's units. */
export interface Sale {
  readonly name: string;
  readonly namespace: string;
  /** Unix time in ms. */
  readonly opensAt: number;
  /** Unix time in ms. */
  readonly closesAt: number;
  readonly paused: boolean;
  readonly notReady: NotReadyPolicy;
  readonly items: readonly SaleItem[];
  /** How long a reservation waits for its payment, in ms. */
  readonly holdForMs: number;
  /** True: only buyers in the eligibility bitmap may buy. */
  readonly membersOnly: boolean;
  readonly warm: {
    readonly leadTimeMs: number;
    readonly shards: number;
    readonly cache: { readonly ttlMs: number; readonly jitter: number; readonly pages: number };
  };
  readonly scale: readonly ScaleRule[];
}

/**
 * The life of a sale. Pause is a condition, not a phase.
 * Closed and Aborted are final.
 */
export const PHASES = ['Scheduled', 'Warming', 'Armed', 'Open', 'Draining', 'Closed', 'Aborted'] as const;
export type Phase = (typeof PHASES)[number];

/**
 * A sale as the operator published it to the services. `epoch` fences every script:
 * it grows by one at each warm-up or rebuild, and never repeats.
 */
export interface PublishedSale extends Sale {
  readonly epoch: number;
  readonly phase: Phase;
}

/** A signed-in buyer. `number` is the dense account number where the identity provider gives one. */
export interface Buyer {
  readonly id: string;
  readonly number?: number;
}

/** Where one item of a sale is kept: one shard, one hash slot. */
export interface ShardItem {
  readonly sale: string;
  readonly shard: number;
  readonly sku: string;
}

/** What a buyer is told of a purchase. Legal moves between them: `purchase.ts`. */
export const PURCHASE_STATUSES = ['reserved', 'paid', 'refused', 'expired', 'refunded'] as const;
export type PurchaseStatus = (typeof PURCHASE_STATUSES)[number];

/** One hold as Redis keeps it. */
export interface Hold {
  readonly id: string;
  readonly sku: string;
  readonly quantity: number;
  readonly buyer: Buyer;
  readonly status: PurchaseStatus;
  /** Unix time in ms after which an unpaid hold is released. */
  readonly expiresAt: number;
}

/** Units of one item in one shard or summed over shards. Conservation: `free + held + sold = stock`. */
export interface StockLevel {
  readonly stock: number;
  readonly free: number;
  readonly held: number;
  readonly sold: number;
}
