/** The published sales, in memory: kept fresh by broadcast and by polling, so that a purchase needs no look-up. */
import { isDeepStrictEqual } from 'node:util';
import type { Logger } from '@flashsale/platform/log';
import { loop, type Part } from '@flashsale/platform/run';
import {
  type BroadcastMessage,
  Existence,
  type PublishedSale,
  type SaleItem,
  type SaleStore,
  SaleError,
  type ShardItem,
  type Signals,
} from '@flashsale/sale';
import { RedisClock } from './redis-clock.ts';

const POLL_MS = 1_000;
/** For how long the sales known before stay known after Redis lost what was published, in ms. */
const KEEP_MS = 60_000;

/** One item of a sale with all that the hot path would otherwise work out for each purchase. */
export interface ListedItem {
  readonly sale: PublishedSale;
  readonly item: SaleItem;
  /** By shard number. */
  readonly shards: readonly ShardItem[];
}

export interface ListedSale {
  readonly sale: PublishedSale;
  readonly items: ReadonlyMap<string, ListedItem>;
  /** Made once: an error a purchase, with its stack, would cost more than the answer. */
  readonly notOpen: SaleError;
}

export function listSale(sale: PublishedSale): ListedSale {
  const items = sale.items.map((item): [string, ListedItem] => {
    const shards = Array.from({ length: sale.warm.shards }, (_, shard) => ({ sale: sale.name, shard, sku: item.sku }));
    return [item.sku, { sale, item, shards }];
  });
  const opensAt = new Date(sale.opensAt).toISOString();
  return {
    sale,
    items: new Map(items),
    notOpen: new SaleError('sale_not_open', `It opens at ${opensAt}.`, { opensAt }),
  };
}

export interface SaleDirectoryOptions {
  readonly store: Pick<SaleStore, 'published' | 'publishedVersion' | 'existence' | 'time'>;
  readonly signals: Signals;
  readonly log: Logger;
  /** Called when units came back to an item; without an sku, when anything of the sale may have changed; without a sale, of any. */
  readonly onChanged: (sale?: string, sku?: string) => void;
}

export class SaleDirectory implements Part {
  readonly name = 'sale-directory';
  readonly clock: RedisClock;
  readonly #options: SaleDirectoryOptions;
  readonly #poll: ReturnType<typeof loop>;
  #sales: ReadonlyMap<string, ListedSale> = new Map();
  /** Undefined: Redis had none when it was last read. */
  #existence: Existence | undefined;
  /** Version of what is in `#sales`; undefined before the first load. */
  #version: number | undefined;
  /** Until when (performance.now) sales that are not published any more are kept. */
  #keepUntil = 0;
  #refreshing: Promise<void> | undefined;
  #unsubscribe: (() => Promise<void>) | undefined;

  constructor(options: SaleDirectoryOptions) {
    this.#options = options;
    this.clock = new RedisClock(options.store);
    this.#poll = loop('sale-directory', options.log, POLL_MS, () => this.refresh());
  }

  async start(): Promise<void> {
    const { signals, onChanged } = this.#options;
    this.#unsubscribe = await signals.subscribe(
      (message) => this.#onBroadcast(message),
      () => {
        onChanged();
        this.#poll.kick();
      },
    );
    await this.#poll.start?.();
    this.#poll.kick();
  }

  /** False until the sales were read once. */
  ready(): boolean {
    return this.#version !== undefined;
  }

  async stop(): Promise<void> {
    await this.#poll.drain?.();
    await this.#poll.stop?.();
    await this.#unsubscribe?.();
  }

  /** @throws SaleError `sale_not_found`; `try_again_later` before the sales were read once. */
  find(name: string): ListedSale {
    const found = this.#sales.get(name);
    if (found) return found;
    if (this.#version === undefined) throw new SaleError('try_again_later', 'The sales are being loaded.');
    throw new SaleError('sale_not_found', 'There is no sale of that name.');
  }

  get(name: string): ListedSale | undefined {
    return this.#sales.get(name);
  }

  /** False: there is no sale of that name and never was, so nothing of it needs to be looked up. */
  mayExist(name: string): boolean {
    return this.#sales.has(name) || (this.#existence?.hasSale(name) ?? true);
  }

  all(): Iterable<ListedSale> {
    return this.#sales.values();
  }

  /** Reads the sales again where their version changed. Callers at the same time share one read. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#load().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  async #load(): Promise<void> {
    const { store, onChanged } = this.#options;
    await this.clock.sample();
    // The version is read first: a publish between the two reads is then read again, never missed.
    const version = await store.publishedVersion();
    if (version === this.#version) return;
    const [published, exists] = await Promise.all([store.published(), store.existence()]);
    // A version that went backwards: Redis lost its data. The sales have not ended; the operator publishes them again.
    if (version < (this.#version ?? 0)) this.#keepUntil = performance.now() + KEEP_MS;
    const kept = performance.now() < this.#keepUntil ? this.#sales : [];
    const before = this.#sales;
    this.#sales = new Map([...kept, ...published.map((sale): [string, ListedSale] => [sale.name, this.#list(sale)])]);
    this.#existence = exists?.length ? new Existence(exists) : undefined;
    this.#version = version;
    const names = new Set([...before.keys(), ...this.#sales.keys()]);
    for (const name of names) if (before.get(name) !== this.#sales.get(name)) onChanged(name);
  }

  /** A sale that did not change stays the object it is: what is remembered of its items is kept by them. */
  #list(sale: PublishedSale): ListedSale {
    const known = this.#sales.get(sale.name);
    return known && isDeepStrictEqual(known.sale, sale) ? known : listSale(sale);
  }

  #onBroadcast(message: BroadcastMessage): void {
    if (message.type === 'returned') this.#options.onChanged(message.sale, message.sku);
    if (message.type !== 'published') return;
    this.#options.onChanged(message.sale);
    this.#poll.kick();
  }
}
