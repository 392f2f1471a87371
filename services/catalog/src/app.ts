/** The routes of the catalog: products, list pages and search for everyone, and internally what sellers and the operator do. */
import { createApp, finishApp, type Express } from '@flashsale/platform/http';
import type { Logger } from '@flashsale/platform/log';
import type { PageCache } from '@flashsale/sale';
import type { KnownProducts } from './known-products.ts';
import { preloadRoute } from './preload.ts';
import { productRoutes } from './products.ts';
import type { Products } from './ports.ts';
import { putProductsRoute } from './put-products.ts';
import type { PageReader } from './read-page.ts';
import { searchRoute } from './search.ts';

export interface CatalogAppOptions {
  readonly products: Products;
  readonly known: KnownProducts;
  readonly cache: PageCache;
  readonly pages: PageReader;
  readonly searches: PageReader;
  readonly pageTtlMs: number;
  readonly log: Logger;
}

export function createCatalogApp(options: CatalogAppOptions): Express {
  const app = createApp(options.log);
  app.use('/api/v1/products', productRoutes(options));
  app.get('/api/v1/search', searchRoute(options));
  app.put('/internal/products', putProductsRoute(options));
  app.post('/internal/pages/preload', preloadRoute(options));
  finishApp(app, options.log);
  return app;
}
