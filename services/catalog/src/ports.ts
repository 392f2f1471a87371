/** What the catalog needs of its database. Every call has a deadline. */
import type { PageContent, PageToLoad } from '@flashsale/sale';

/** A product as a seller, or a sale, writes it. */
export interface NewProduct {
  readonly id: string;
  readonly title: string;
  readonly description: string;
  readonly priceMinor: number;
  readonly currency: string;
}

export type ProductSource = 'seller' | 'sale';

export interface CatalogVersion {
  readonly version: number;
  /** Products there are. */
  readonly total: number;
}

/** A page that was read, by its name. */
export type NamedPage = PageContent & Pick<PageToLoad, 'name'>;

export interface Products {
  /**
   * Adds products and overwrites those that differ, all or none; a sale does not overwrite what a seller wrote.
   * Resolves to the pages of those that changed.
   */
  put(source: ProductSource, products: readonly NewProduct[]): Promise<NamedPage[]>;
  version(): Promise<CatalogVersion>;
  /** Ids of the products added after a version, page by page. */
  addedAfter(version: number): AsyncIterable<readonly string[]>;

  /** The pages of those products that there are. */
  productPages(ids: readonly string[]): Promise<NamedPage[]>;
  /** List pages `first` to `last`, counted from 1, `size` products each; those past the end are empty. */
  listPages(first: number, last: number, size: number): Promise<NamedPage[]>;
  /** The best matches of a search, 20 at most. */
  search(words: string): Promise<PageContent>;
}
