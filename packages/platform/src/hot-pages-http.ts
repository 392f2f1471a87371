/** The hot pages as the operator reaches them: loaded through the catalog's internal routes, read back from the cache. */
import { decimalAmount, type HotPages, type PageCache, type SaleItem } from '@flashsale/sale';
import { internalClient } from './http-client.ts';

/** A pass over a sale waits for it. */
const DEADLINE_MS = 2_000;
/** Products and pages of one request: each stays well below the 64 KiB of a body, whatever its title. */
const PRODUCTS = 50;
const PAGES = 250;

/** Throws HttpError or DeadlineError where the catalog cannot do it, and what `cache` throws. */
export function createHotPages(catalogUrl: string, cache: Pick<PageCache, 'left'>): HotPages {
  const client = internalClient(catalogUrl, DEADLINE_MS);
  return {
    async preload(sale, pages) {
      for (const products of chunks(sale.items.map(productOf), PRODUCTS))
        await client.text('PUT', '/internal/products', { source: 'sale', products });
      for (const some of chunks(pages, PAGES)) await client.text('POST', '/internal/pages/preload', { pages: some });
    },
    readBack: (names) => cache.left(names),
  };
}

/** A sale may have titles that the catalog refuses: none at all, or with characters that its database cannot keep. */
function productOf({ sku, title, price }: SaleItem) {
  const kept = title.replaceAll('\0', ' ') || sku;
  return {
    id: sku,
    title: kept,
    price: { amount: decimalAmount(price.minor, price.currency), currency: price.currency },
  };
}

function chunks<T>(all: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, i) => all.slice(i * size, (i + 1) * size));
}
