/** Which product ids there are, in memory: a made-up one costs the database nothing. */
import type { Logger } from '@flashsale/platform/log';
import { loop, type Part } from '@flashsale/platform/run';
import { Existence } from '@flashsale/sale';
import type { Products } from './ports.ts';

/** How often it is looked whether another process added some, in ms. */
const LOOK_MS = 1_000;
/** A filter has room for twice the products there are, and for this many at least. */
const LEAST_ROOM = 1_000;
/** Ids that the filter took for known and the database does not have: remembered for a while, some of them. */
const MISSING_MS = 5_000;
const MOST_MISSING = 1_000;

export class KnownProducts {
  readonly #products: Pick<Products, 'version' | 'addedAfter'>;
  readonly #missing = new Map<string, number>();
  #filter: Existence | undefined;
  #room = 0;
  #count = 0;
  #version = 0;
  #looking: Promise<void> | undefined;

  constructor(products: Pick<Products, 'version' | 'addedAfter'>) {
    this.#products = products;
  }

  /** False: certainly no product of this id, as of a second ago at most. Nothing is ruled out before the first look. */
  mayHave(id: string): boolean {
    const until = this.#missing.get(id);
    if (until !== undefined && performance.now() < until) return false;
    return this.#filter?.has(id) ?? true;
  }

  /** Products there are, as of the last look; undefined before the first. */
  get count(): number | undefined {
    return this.#filter && this.#count;
  }

  /** The database was asked and has none. */
  noteMissing(id: string): void {
    const [oldest] = this.#missing.keys();
    if (this.#missing.size >= MOST_MISSING && oldest !== undefined) this.#missing.delete(oldest);
    this.#missing.set(id, performance.now() + MISSING_MS);
  }

  /** Takes in what was added. Those who ask at the same time share one look, which began after none of them. */
  async look(): Promise<void> {
    await this.#looking;
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    await this.#looking;
  }

  async #look(): Promise<void> {
    const { version, total } = await this.#products.version();
    // A version that went backwards: another database. A full filter rules out ever less.
    const kept = version < this.#version || total > this.#room ? undefined : this.#filter;
    const filter = kept ?? this.#empty(total);
    if (!kept || version !== this.#version) await this.#add(filter, kept ? this.#version : 0);
    [this.#filter, this.#count, this.#version] = [filter, total, version];
  }

  #empty(total: number): Existence {
    this.#room = Math.max(LEAST_ROOM, 2 * total);
    return Existence.sized(this.#room);
  }

  async #add(filter: Existence, after: number): Promise<void> {
    for await (const ids of this.#products.addedAfter(after)) {
      for (const id of ids) {
        filter.add(id);
        this.#missing.delete(id);
      }
    }
  }
}

/** Keeps the filter fresh. The first look is made at the start: from then on made-up ids are known for what they are. */
export function knownProductsPart(known: KnownProducts, log: Logger): Part {
  const looks = loop('known-products', log, LOOK_MS, () => known.look());
  return {
    ...looks,
    start: async () => {
      await known.look();
      await looks.start?.();
    },
  };
}
