/**
 * Remembers for an instant that an item is sold out, so that a sold-out storm costs Redis nothing.
 * Exactness: it remembers only what Redis said of the whole sale (borrow: no shard had a unit), counted from when it
 * was asked, for 200 ms at most; it forgets at once when units came back, and never takes up an answer that was on its
 * way while they did.
 */
import { type BorrowAnswer, SaleError } from '@flashsale/sale';
import type { ListedItem } from './sale-directory.ts';

export const REMEMBER_MS = 200;
/** For so long after that it is likely sold out still: a few ask, the others wait for their answer. */
const SUSPECT_MS = 2_000;

export function soldOutError(held: number): SaleError {
  const hope = held > 0 ? `${held} units are still in payment and may come back.` : 'Every unit is paid.';
  return new SaleError('sold_out', hope, { held });
}

interface Memory {
  readonly until: number;
  /** No shard had this many units. */
  readonly quantity: number;
  readonly error: SaleError;
  readonly changes: number;
  readonly since: number;
}

/** What was known when Redis was asked; handed back with the answer. */
export interface Question {
  readonly askedAt: number;
  readonly generation: number;
}

export class SoldOut {
  readonly #monotonic: () => number;
  /** By item as it was published: a new publication is a new object, and starts knowing nothing. */
  #memories = new WeakMap<ListedItem, Memory>();
  #generation = 0;

  constructor(monotonic: () => number = () => performance.now()) {
    this.#monotonic = monotonic;
  }

  ask(): Question {
    return { askedAt: this.#monotonic(), generation: this.#generation };
  }

  /** Takes up the answer that no shard had `quantity` free units. */
  remember(item: ListedItem, quantity: number, answer: BorrowAnswer, question: Question): SaleError {
    const error = soldOutError(answer.held);
    const { changes } = answer;
    const now = this.#monotonic();
    const until = question.askedAt + REMEMBER_MS;
    if (question.generation === this.#generation && until > now) {
      const before = this.#memories.get(item);
      const isSame = before !== undefined && before.changes === changes && before.quantity <= quantity;
      this.#memories.set(item, { until, quantity, error, changes, since: isSame ? before.since : now });
    }
    return error;
  }

  /** Monotonic ms from which on nobody was sold what `recall` says is sold out. Infinity where nothing is remembered. */
  since(item: ListedItem): number {
    return this.#memories.get(item)?.since ?? Infinity;
  }

  /** The answer for a purchase of `quantity` units, where it is known without asking. */
  recall(item: ListedItem, quantity: number): SaleError | undefined {
    const memory = this.#memories.get(item);
    if (!memory || quantity < memory.quantity) return undefined;
    return memory.until > this.#monotonic() ? memory.error : undefined;
  }

  /** Whether the item was sold out a moment ago and nothing is known to have come back: likely, not certain. */
  suspects(item: ListedItem): boolean {
    const memory = this.#memories.get(item);
    return memory !== undefined && this.#monotonic() < memory.until + SUSPECT_MS;
  }

  /** Units of the item may have come back; without an item, of any. */
  forget(item?: ListedItem): void {
    if (item) this.#memories.delete(item);
    else this.#memories = new WeakMap();
    this.#generation++;
  }
}
