/** How many replicas each sale wants of each workload: sales share workloads, and the one that wants most gets it. */

interface Demand {
  readonly replicas: number;
  /** What was there before any sale scaled the workload. */
  readonly before: number;
}

/** Kept in memory: each sale says again at its next pass what it wants. */
export class Demands {
  readonly #targets = new Map<string, Map<string, Demand>>();

  readonly #readySeconds = new Map<string, Map<string, number>>();

  set(target: string, sale: string, demand: Demand): void {
    const sales = this.#targets.get(target) ?? new Map<string, Demand>();
    this.#targets.set(target, sales.set(sale, demand));
  }

  drop(target: string, sale: string): void {
    const sales = this.#targets.get(target);
    sales?.delete(sale);
    if (sales?.size === 0) this.#targets.delete(target);
  }

  dropSale(sale: string): void {
    for (const target of [...this.#targets.keys()]) this.drop(target, sale);
    for (const sales of this.#readySeconds.values()) sales.delete(sale);
  }

  /** Notes how long the workload took to be Ready when `sale` scaled it up. */
  learn(target: string, sale: string, seconds: number): void {
    const sales = this.#readySeconds.get(target) ?? new Map<string, number>();
    this.#readySeconds.set(target, sales.set(sale, seconds));
  }

  /** The longest that any sale measured; undefined where none did. */
  readySeconds(target: string): number | undefined {
    const sales = [...(this.#readySeconds.get(target)?.values() ?? [])];
    return sales.length === 0 ? undefined : Math.max(...sales);
  }

  /** Undefined where no sale wants any. */
  most(target: string): number | undefined {
    const sales = [...(this.#targets.get(target)?.values() ?? [])];
    return sales.length === 0 ? undefined : Math.max(...sales.map(({ replicas }) => replicas));
  }

  /** Undefined where no sale has scaled it. */
  before(target: string): number | undefined {
    return this.#targets.get(target)?.values().next().value?.before;
  }
}
