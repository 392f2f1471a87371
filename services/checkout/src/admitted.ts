/**
 * Purchases that were admitted, so that a repeated request is not told "sold out" from memory while it has its unit.
 * This process knows its own at once; those of other processes are read from Redis after the item had sold out and before
 * that is answered from memory, and again after units came back and are gone. Reads are seconds apart: meanwhile Redis
 * is asked.
 */
import type { Logger } from '@flashsale/platform/log';
import type { PublishedSale, SaleStore } from '@flashsale/sale';

const RELOAD_MS = 500;
/** A scan may take this share of the time at most, however large the sale. */
const SCAN_SHARE = 0.05;

interface Holders {
  /** Buyer ids. */
  readonly buyers: Set<string>;
  /** Monotonic ms from which a new scan is wanted. */
  nextScanAt: number;
  /** Monotonic ms at which the last complete scan began. */
  scannedAt: number;
  loading: boolean;
}

export class Admitted {
  readonly #store: Pick<SaleStore, 'holds'>;
  readonly #log: Logger;
  /** By sale. Bounded by what a sale has to sell, and gone with the sale (`prune`). */
  readonly #sales = new Map<string, Holders>();

  constructor(store: Pick<SaleStore, 'holds'>, log: Logger) {
    this.#store = store;
    this.#log = log;
  }

  add(sale: string, buyer: string): void {
    this.#of(sale).buyers.add(buyer);
  }

  /** False: the buyer's purchase is surely new, or the sale's admitted purchases are not known; see `covers`. */
  has(sale: string, buyer: string): boolean {
    return this.#sales.get(sale)?.buyers.has(buyer) ?? false;
  }

  /**
   * Whether all purchases of other processes from before `since` (monotonic ms) are known. Where they are not, starts a
   * scan, unless the last one was a moment ago, and does not wait for it.
   */
  covers(sale: PublishedSale, since: number): boolean {
    const known = this.#of(sale.name);
    if (known.scannedAt >= since) return true;
    if (!known.loading && performance.now() >= known.nextScanAt) void this.#scan(sale, known);
    return false;
  }

  /** Drops sales that are no longer published. */
  prune(isPublished: (sale: string) => boolean): void {
    for (const sale of this.#sales.keys()) if (!isPublished(sale)) this.#sales.delete(sale);
  }

  async #scan(sale: PublishedSale, known: Holders): Promise<void> {
    known.loading = true;
    const started = performance.now();
    try {
      for await (const hold of this.#store.holds(sale)) known.buyers.add(hold.buyer.id);
      known.scannedAt = started;
    } catch (error) {
      this.#log.warn({ err: error, sale: sale.name }, 'cannot read the holds; sold out is asked of Redis meanwhile');
    } finally {
      const ended = performance.now();
      known.nextScanAt = ended + Math.max(RELOAD_MS, (ended - started) / SCAN_SHARE);
      known.loading = false;
    }
  }

  #of(sale: string): Holders {
    let known = this.#sales.get(sale);
    if (!known) {
      known = { buyers: new Set(), nextScanAt: 0, scannedAt: -Infinity, loading: false };
      this.#sales.set(sale, known);
    }
    return known;
  }
}
