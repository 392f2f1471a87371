/** Which sales there are and ever were: the existence filter that lets checkout answer made-up names by itself. */
import { Existence, type Ledger, type SaleStore } from '@flashsale/sale';

export interface KnownSalesDeps {
  readonly store: Pick<SaleStore, 'writeExistence'>;
  readonly ledger: Pick<Ledger, 'sales'>;
}

/** Names are only ever added. The filter is written once it is complete: a name missing in it would be denied. */
export class KnownSales {
  readonly #deps: KnownSalesDeps;
  readonly #skus = new Map<string, Set<string>>();
  #complete = false;
  #written = false;
  #work: Promise<void> = Promise.resolve();

  constructor(deps: KnownSalesDeps) {
    this.#deps = deps;
  }

  /** True where the sale or one of its items is new: then `keep` before the sale is published. */
  add(name: string, skus: Iterable<string>): boolean {
    const known = this.#skus.get(name) ?? new Set<string>();
    const before = this.#skus.has(name) ? known.size : -1;
    this.#skus.set(name, known);
    for (const sku of skus) known.add(sku);
    if (known.size === before) return false;
    this.#written = false;
    return true;
  }

  /** Brings the filter in Redis up to what is known; `lost`: Redis has none. Throws what the ledger or Redis throws. */
  keep(lost = false): Promise<void> {
    const work = this.#work.catch(() => undefined).then(() => this.#keep(lost));
    this.#work = work;
    return work;
  }

  async #keep(lost: boolean): Promise<void> {
    const { store, ledger } = this.#deps;
    if (!this.#complete) {
      for await (const { sale, sku } of ledger.sales()) this.add(sale, [sku]);
      this.#complete = true;
    }
    if (this.#written && !lost) return;
    const sales = [...this.#skus].map(([name, skus]) => ({ name, items: [...skus].map((sku) => ({ sku })) }));
    // Before the write: what is added during it has to be written again.
    this.#written = true;
    try {
      await store.writeExistence(Existence.of(sales).bytes);
    } catch (error) {
      this.#written = false;
      throw error;
    }
  }
}
