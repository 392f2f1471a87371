/**
 * Purchases that were admitted, so that a repeated request is not told "sold out" from memory while it has its unit.
 * This process knows its own at once; those of other processes are read from Redis before "sold out" is answered from
 * memory at all, and again at most every few seconds while it is.
 */
import type { Logger } from '@flashsale/platform/log';
import type { PublishedSale, SaleStore } from '@flashsale/sale';

const RELOAD_MS = 5_000;
/** A scan may take this share of the time at most, however large the sale. */
const SCAN_SHARE = 0.05;

interface Ids {
  readonly ids: Set<string>;
  /** Monotonic ms from which a new scan is wanted. */
  nextScanAt: number;
  loaded: boolean;
  loading: boolean;
}

export class Admitted {
  readonly #store: Pick<SaleStore, 'holds'>;
  readonly #log: Logger;
  /** By sale. Bounded by what a sale has to sell, and gone with the sale (`prune`). */
  readonly #sales = new Map<string, Ids>();

  constructor(store: Pick<SaleStore, 'holds'>, log: Logger) {
    this.#store = store;
    this.#log = log;
  }

  add(sale: string, id: string): void {
    this.#of(sale).ids.add(id);
  }

  /** False: the purchase is surely new here, or its sale's admitted purchases are not known; see `covers`. */
  has(sale: string, id: string): boolean {
    return this.#sales.get(sale)?.ids.has(id) ?? false;
  }

  /** Whether the purchases of other processes are known. Starts a scan where one is wanted, without waiting for it. */
  covers(sale: PublishedSale): boolean {
    const known = this.#of(sale.name);
    if (!known.loading && performance.now() >= known.nextScanAt) void this.#scan(sale, known);
    return known.loaded;
  }

  /** Drops sales that are no longer published. */
  prune(isPublished: (sale: string) => boolean): void {
    for (const sale of this.#sales.keys()) if (!isPublished(sale)) this.#sales.delete(sale);
  }

  async #scan(sale: PublishedSale, known: Ids): Promise<void> {
    known.loading = true;
    const started = performance.now();
    try {
      for await (const hold of this.#store.holds(sale)) known.ids.add(hold.id);
      known.loaded = true;
    } catch (error) {
      this.#log.warn({ err: error, sale: sale.name }, 'cannot read the holds; sold out is asked of Redis meanwhile');
    } finally {
      const ended = performance.now();
      known.nextScanAt = ended + Math.max(RELOAD_MS, (ended - started) / SCAN_SHARE);
      known.loading = false;
    }
  }

  #of(sale: string): Ids {
    let known = this.#sales.get(sale);
    if (!known) {
      known = { ids: new Set(), nextScanAt: 0, loaded: false, loading: false };
      this.#sales.set(sale, known);
    }
    return known;
  }
}
