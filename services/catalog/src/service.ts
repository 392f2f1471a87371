/** Puts the catalog together: its pages and their guards around the database. */
import type { Express } from '@flashsale/platform/http';
import type { Logger } from '@flashsale/platform/log';
import type { Part } from '@flashsale/platform/run';
import type { PageCache, PageLocks } from '@flashsale/sale';
import { createCatalogApp } from './app.ts';
import { Bulkhead } from './bulkhead.ts';
import { KnownProducts, knownProductsPart } from './known-products.ts';
import type { Products } from './ports.ts';
import { PageReader } from './read-page.ts';

/** Of the pool's 10 connections: searches cannot keep pages from being read, and preloads and changes find one free. */
const PAGES = { running: 5, waiting: 500 } as const;
const SEARCHES = { running: 3, waiting: 50 } as const;

export interface CatalogOptions {
  readonly products: Products;
  readonly cache: PageCache;
  readonly locks: PageLocks;
  readonly pageTtlMs: number;
  readonly log: Logger;
}

export function catalogService(options: CatalogOptions): { app: Express; known: Part } {
  const { products, cache, locks, pageTtlMs, log } = options;
  const known = new KnownProducts(products);
  const reader = (limits: typeof PAGES | typeof SEARCHES): PageReader =>
    new PageReader({ cache, locks, log, bulkhead: new Bulkhead(limits) });
  const app = createCatalogApp({
    products,
    known,
    cache,
    pageTtlMs,
    log,
    pages: reader(PAGES),
    searches: reader(SEARCHES),
  });
  return { app, known: knownProductsPart(known, log) };
}
