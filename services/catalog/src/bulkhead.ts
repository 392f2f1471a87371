/** A bound on work done at once: what does not fit waits in a short queue, and what does not fit there is refused. */
import { SaleError } from '@flashsale/sale';

export interface BulkheadLimits {
  /** Work under way at once. */
  readonly running: number;
  /** Work that waits for its turn. */
  readonly waiting: number;
}

export class Bulkhead {
  readonly #limits: BulkheadLimits;
  readonly #queue: (() => void)[] = [];
  #running = 0;

  constructor(limits: BulkheadLimits) {
    this.#limits = limits;
  }

  /** Throws SaleError `try_again_later` at once where the queue is full. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#limits.running) await this.#turn();
    else this.#running++;
    try {
      return await work();
    } finally {
      // The place goes to the next one as it is, so that nobody can come in between.
      const next = this.#queue.shift();
      if (next) next();
      else this.#running--;
    }
  }

  #turn(): Promise<void> {
    if (this.#queue.length >= this.#limits.waiting) {
      throw new SaleError('try_again_later', 'The catalog is asked for more than it can read.');
    }
    return new Promise((resolve) => this.#queue.push(resolve));
  }
}
