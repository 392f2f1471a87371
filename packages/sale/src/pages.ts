/** Pages of the shop that are kept in a cache: their names, which of them are hot for a sale, and the ports around them. */
import type { Sale } from './types.ts';

/** Products on a list page where the caller does not say. Hot list pages have this size. */
export const LIST_SIZE = 20;

export const pageNames = {
  product: (id: string): string => `product/${id}`,
  /** Pages are counted from 1. */
  list: (page: number, size: number = LIST_SIZE): string => `list/${page}/${size}`,
  search: (words: string): string => `search/${words}`,
};

export type HotPage = { readonly product: string } | { readonly page: number };

/** What a hot page shows; undefined for any other page. */
export function parseHotPage(name: string): HotPage | undefined {
  const [kind, what = '', size, ...more] = name.split('/');
  if (more.length > 0 || what === '') return undefined;
  if (kind === 'product' && size === undefined) return { product: what };
  const page = Number(what);
  return kind === 'list' && name === pageNames.list(page) && Number.isSafeInteger(page) && page >= 1
    ? { page }
    : undefined;
}

/** How many pages `hotPages` names. */
export const hotPageCount = (sale: Sale): number => sale.items.length + sale.warm.cache.pages;

/** The names of a sale's hot pages: the page of each item, and the first list pages, empty ones past the end too. */
export function hotPages(sale: Sale): string[] {
  const lists = Array.from({ length: sale.warm.cache.pages }, (_, at) => pageNames.list(at + 1));
  return [...sale.items.map(({ sku }) => pageNames.product(sku)), ...lists];
}

export interface PageContent {
  /** The JSON that callers get. */
  readonly body: string;
  /** The catalog's version that it shows. Grows with each change, in the order of the changes. */
  readonly version: number;
  /** How long it took to make, in ms. */
  readonly loadMs: number;
}

export interface CachedPage extends PageContent {
  /** Ms until it expires. */
  readonly leftMs: number;
}

export interface PageToKeep extends PageContent {
  readonly name: string;
  readonly ttlMs: number;
}

/** Pages in a store that processes share. Every call has a deadline and throws SaleError `try_again_later` where it is away. */
export interface PageCache {
  get(name: string): Promise<CachedPage | undefined>;
  /**
   * Keeps pages, each for its own time; answers in their order. False: a page of a newer version was there, and stays.
   * So whoever was slow, or paused, never puts an old page over a newer one.
   */
  put(pages: readonly PageToKeep[]): Promise<boolean[]>;
  /** Ms that each page is still kept, in the order of the names; undefined where it is not there. */
  left(names: readonly string[]): Promise<(number | undefined)[]>;
}

/**
 * One process at a time, as far as a lease goes: it saves work and keeps nothing exact. A holder that is paused past
 * the end of its lease goes on beside the next one; `PageCache.put` is what keeps its page out.
 */
export interface PageLocks {
  /** The release; undefined where another holds it, or nobody can tell. Releasing never throws. */
  tryLock(name: string, leaseMs: number): Promise<(() => Promise<void>) | undefined>;
}

export interface PageToLoad {
  /** A name of `hotPages`. */
  readonly name: string;
  readonly ttlMs: number;
}

/** The hot pages of a sale, as the operator loads them and reads them back. */
export interface HotPages {
  /** Makes the sale's items known to the catalog, which keeps what a seller wrote of them, and has it load the pages. */
  preload(sale: Sale, pages: readonly PageToLoad[]): Promise<void>;
  /** As `PageCache.left`: read from where the pages are, not from what the catalog says. */
  readBack(names: readonly string[]): Promise<(number | undefined)[]>;
}
