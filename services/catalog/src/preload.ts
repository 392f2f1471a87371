/** `POST /internal/pages/preload`: loads hot pages, each for the time that it is given. */
import { z } from '@flashsale/platform/config';
import { parseInput, type RequestHandler } from '@flashsale/platform/http';
import { LIST_SIZE, parseHotPage, type PageToLoad } from '@flashsale/sale';
import type { CatalogAppOptions } from './app.ts';
import type { NamedPage, Products } from './ports.ts';

const MOST_PAGES = 500;
/** List pages of one statement: 1,000 rows. */
const LISTS = 50;

const body = z.strictObject({
  pages: z
    .array(
      z.strictObject({
        name: z.string().refine((name) => parseHotPage(name) !== undefined, 'must be product/<id> or list/<page>/20'),
        ttlMs: z
          .int()
          .min(1)
          .max(30 * 24 * 3_600_000),
      }),
    )
    .min(1)
    .max(MOST_PAGES)
    .refine((pages) => new Set(pages.map(({ name }) => name)).size === pages.length, 'each page once'),
});

/** `{loaded}`: pages that are in the cache now. Products that are not there have none. */
export function preloadRoute({ products, cache }: Pick<CatalogAppOptions, 'products' | 'cache'>): RequestHandler {
  return async (req, res) => {
    const { pages } = parseInput(body, req.body ?? {});
    const found = await load(products, pages);
    const lives = new Map(pages.map(({ name, ttlMs }) => [name, ttlMs]));
    const kept = await cache.put(found.flatMap((page) => withLife(page, lives)));
    res.json({ loaded: kept.length });
  };
}

/** Those of `lists` that nobody asked for come along where they lie between others. */
function withLife(page: NamedPage, lives: ReadonlyMap<string, number>) {
  const ttlMs = lives.get(page.name);
  return ttlMs === undefined ? [] : [{ ...page, ttlMs }];
}

async function load(products: Products, pages: readonly PageToLoad[]): Promise<NamedPage[]> {
  const wanted = pages.map(({ name }) => parseHotPage(name));
  const ids = wanted.flatMap((one) => (one && 'product' in one ? [one.product] : []));
  const lists = wanted.flatMap((one) => (one && 'page' in one ? [one.page] : [])).toSorted((a, b) => a - b);
  const found = ids.length > 0 ? await products.productPages(ids) : [];
  for (let at = 0; at < lists.length;) {
    const first = lists[at] ?? 1;
    let last = first;
    while (at < lists.length && (lists[at] ?? 0) < first + LISTS) last = lists[at++] ?? last;
    found.push(...(await products.listPages(first, last, LIST_SIZE)));
  }
  return found;
}
