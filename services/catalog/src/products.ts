/** `GET /products/{id}` and `GET /products?page=&size=`: one product, or one list page of them in the order of their ids. */
import { z } from '@flashsale/platform/config';
import { parseInput, Router } from '@flashsale/platform/http';
import { LIST_SIZE, pageNames, SaleError, SALE_FORMS, type PageContent } from '@flashsale/sale';
import type { CatalogAppOptions } from './app.ts';
import type { PageSource } from './read-page.ts';
import { sendPage } from './send-page.ts';

const whole = (most: number, fallback: number) =>
  z
    .string()
    .regex(/^[1-9]\d{0,5}$/, `must be a whole number from 1 to ${most}`)
    .transform(Number)
    .refine((value) => value <= most, `must be a whole number from 1 to ${most}`)
    .default(fallback);
/** As many list pages can be hot; further back nobody reads on, but searches. */
/** Longest life of a list page of another size than the usual one: all sizes together hold every product a hundred times. */
const OTHER_SIZE_MS = 10_000;
const query = z.object({ page: whole(10_000, 1), size: whole(100, LIST_SIZE) });

type Options = Pick<CatalogAppOptions, 'products' | 'known' | 'pages' | 'pageTtlMs'>;

export function productRoutes(options: Options): Router {
  const router = Router();
  router.get('/', async (req, res) => {
    const { page, size } = parseInput(query, req.query);
    const found = await options.pages.read(pageNames.list(page, size), listSource(options, page, size));
    sendPage(req, res, found ?? emptyPage(options, page, size));
  });
  router.get('/:id', async (req, res) => {
    const { id } = req.params;
    const found = SALE_FORMS.sku.pattern.test(id)
      ? await options.pages.read(pageNames.product(id), productSource(options, id))
      : undefined;
    if (!found) throw new SaleError('product_not_found', 'There is no product with this id.');
    sendPage(req, res, found);
  });
  return router;
}

function productSource({ products, known, pageTtlMs }: Options, id: string): PageSource {
  return {
    may: () => known.mayHave(id),
    load: async () => {
      const [page] = await products.productPages([id]);
      if (!page) known.noteMissing(id);
      return page;
    },
    ttlMs: pageTtlMs,
  };
}

function listSource({ products, known, pageTtlMs }: Options, page: number, size: number): PageSource {
  return {
    // The first page past the end is read: products may have been added since the last look.
    may: () => (page - 2) * size < (known.count ?? Infinity),
    load: async () => (await products.listPages(page, page, size))[0],
    ttlMs: size === LIST_SIZE ? pageTtlMs : Math.min(pageTtlMs, OTHER_SIZE_MS),
  };
}

/** A page far past the end, without a look into the database. */
function emptyPage({ known }: Options, page: number, size: number): Pick<PageContent, 'body'> {
  return { body: JSON.stringify({ products: [], page, size, total: known.count ?? 0 }) };
}
