/** The sales that are published in Redis: kept as this operator published them, and brought back where Redis lost them. */
import { SharedCalls } from '@flashsale/platform/shared-read';
import type { PublishedMark, PublishedSale, SaleStore } from '@flashsale/sale';
import type { KnownSales } from './known-sales.ts';
import type { SaleStatus } from './status.ts';

/** How often everything is read although nothing looks different, in ms: a Cluster may lose the sales without the version. */
const WHOLE_MS = 60_000;

export interface RegistryDeps {
  readonly store: Pick<SaleStore, 'published' | 'publishedMark' | 'publish' | 'unpublish'>;
  readonly known: Pick<KnownSales, 'keep'>;
  readonly note: (fields: Record<string, unknown>, message: string) => void;
  /** Milliseconds of a clock that never jumps. */
  readonly now: () => number;
}

/** Whose state in Redis is not what it was: all of them, or these names. */
export type Lost = 'all' | readonly string[];

export class Registry {
  readonly #deps: RegistryDeps;
  /** JSON of what was published here and has not changed in Redis since, as far as is known. */
  readonly #texts = new Map<string, string>();
  /** What must be there by the statuses. */
  readonly #owed = new Map<string, PublishedSale>();
  /** How it looked when everything was as it must be; undefined since something was written. */
  #verified: PublishedMark | undefined;
  #verifiedAt = 0;
  #highest = 0;
  #away = false;
  #unrestored = false;
  #unkept = false;
  readonly #restores = new SharedCalls<void>();

  constructor(deps: RegistryDeps) {
    this.#deps = deps;
  }

  /** Publishes a sale where it differs from what was published last; `before` is awaited first then. */
  async publish(sale: PublishedSale, before: () => Promise<void>): Promise<void> {
    const text = JSON.stringify(sale);
    if (this.#texts.get(sale.name) === text) return;
    await before();
    await this.#write(sale.name, () => this.#deps.store.publish(sale));
    this.#texts.set(sale.name, text);
  }

  async unpublish(name: string): Promise<void> {
    this.#owed.delete(name);
    await this.#write(name, () => this.#deps.store.unpublish(name));
  }

  /** Notes what a status says of a sale: one that was never warm has no purchase that could be put off. */
  owe(name: string, status: SaleStatus | undefined): void {
    if (status?.accepted && status.epoch > 0) {
      this.#owed.set(name, { ...status.accepted, epoch: status.epoch, phase: status.phase });
    } else {
      this.#owed.delete(name);
    }
  }

  /** Looks after a sale no more, and leaves what is published of it. */
  forget(name: string): void {
    this.#owed.delete(name);
    this.#texts.delete(name);
  }

  /**
   * Publishes what Redis has lost, all of it, to be awaited before stock is rebuilt: consumers wait for a sale that is
   * published, and put off events of any other. Where Redis does not answer, the passes find that out themselves.
   */
  restore(): Promise<void> {
    // One that is under way may have read before the loss: who asks now waits for the next, all of them for the same.
    return this.#restores.call('all', () => this.#restore());
  }

  /** Compares Redis with what was published, cheaply as long as nothing looks different. Never throws. */
  async look(): Promise<Lost> {
    try {
      const lost = await this.#look();
      const wasAway = this.#away;
      this.#away = false;
      return wasAway ? 'all' : lost;
    } catch (error) {
      if (!this.#away) this.#deps.note({ err: error }, 'what is published cannot be compared');
      this.#away = true;
      return [];
    }
  }

  async #look(): Promise<Lost> {
    const { store, now } = this.#deps;
    const mark = await store.publishedMark();
    const startedAt = now();
    await this.#keepKnown(!mark.existence);
    if (isSame(this.#verified, mark) && startedAt - this.#verifiedAt < WHOLE_MS) return [];
    // Counted up for ever: lower than it was, Redis is in an older state, and stock may be as well.
    const wentBack = mark.version < this.#highest;
    this.#highest = mark.version;
    const lost = await this.#compare(mark, startedAt);
    return wentBack ? 'all' : lost;
  }

  /** A ledger that is away keeps no sale from being published. */
  async #keepKnown(lost: boolean): Promise<void> {
    try {
      await this.#deps.known.keep(lost);
      this.#unkept = false;
    } catch (error) {
      if (!this.#unkept) this.#deps.note({ err: error }, 'the existence filter cannot be written');
      this.#unkept = true;
    }
  }

  async #compare(mark: PublishedMark, startedAt: number): Promise<string[]> {
    // What is published while it is read is missing here, or differs afterwards.
    const before = new Map(this.#texts);
    this.#verified = mark;
    this.#verifiedAt = startedAt;
    const sales = await this.#deps.store.published();
    const found = new Map(sales.map((sale) => [sale.name, JSON.stringify(sale)]));
    const lost = [...before].filter(([name, text]) => this.#texts.get(name) === text && found.get(name) !== text);
    for (const [name] of lost) this.#texts.delete(name);
    const missing = [...this.#owed.values()].filter(({ name }) => !found.has(name));
    await this.#bringBack(missing);
    if (lost.length > 0) this.#verified = undefined;
    return lost.map(([name]) => name);
  }

  async #restore(): Promise<void> {
    if (this.#owed.size === 0) return;
    try {
      const found = new Set((await this.#deps.store.published()).map(({ name }) => name));
      await this.#bringBack([...this.#owed.values()].filter(({ name }) => !found.has(name)));
      this.#unrestored = false;
    } catch (error) {
      if (!this.#unrestored) this.#deps.note({ err: error }, 'what is published cannot be restored');
      this.#unrestored = true;
    }
  }

  async #bringBack(sales: readonly PublishedSale[]): Promise<void> {
    await Promise.all(sales.map((sale) => this.#write(sale.name, () => this.#deps.store.publish(sale))));
  }

  async #write(name: string, write: () => Promise<void>): Promise<void> {
    this.#texts.delete(name);
    this.#verified = undefined;
    try {
      await write();
    } finally {
      // Also where a look began meanwhile: the version that it read is not the last.
      this.#verified = undefined;
    }
  }
}

function isSame(one: PublishedMark | undefined, other: PublishedMark): boolean {
  return one?.version === other.version && one.sales === other.sales && one.existence === other.existence;
}
