/** `PUT /internal/products`: what sellers, or sales, write of products. Their pages are anew in the cache at once. */
import { z } from '@flashsale/platform/config';
import { parseInput, type RequestHandler } from '@flashsale/platform/http';
import { minorUnits, SALE_FORMS } from '@flashsale/sale';
import type { CatalogAppOptions } from './app.ts';

const MOST_PRODUCTS = 100;

const product = z
  .strictObject({
    id: z.string().regex(SALE_FORMS.sku.pattern, SALE_FORMS.sku.message),
    title: z.string().min(1).max(400),
    description: z.string().max(4_000).default(''),
    price: z.strictObject({
      amount: z.string(),
      currency: z.string().regex(SALE_FORMS.currency.pattern, SALE_FORMS.currency.message),
    }),
  })
  .refine((one) => !`${one.title}${one.description}`.includes('\0'), 'must be without NUL characters')
  .transform(({ price, ...rest }, context) => {
    const priceMinor = minorUnits(price.amount, price.currency);
    if (priceMinor === undefined) {
      const message = 'write an amount such as "129.00", with no more decimals than the currency has';
      context.addIssue({ code: 'custom', path: ['price', 'amount'], message });
    }
    return { ...rest, priceMinor: priceMinor ?? 0, currency: price.currency };
  });

const body = z.strictObject({
  source: z.enum(['seller', 'sale']).default('seller'),
  products: z
    .array(product)
    .min(1)
    .max(MOST_PRODUCTS)
    .refine((all) => new Set(all.map(({ id }) => id)).size === all.length, 'each id once'),
});

type Options = Pick<CatalogAppOptions, 'products' | 'known' | 'cache' | 'pageTtlMs' | 'log'>;

/** 204. Changed products show on their own pages at once; on list pages and in searches when those are made anew. */
export function putProductsRoute({ products, known, cache, pageTtlMs, log }: Options): RequestHandler {
  return async (req, res) => {
    const { source, products: given } = parseInput(body, req.body ?? {});
    const changed = await products.put(source, given);
    if (changed.length > 0) {
      await known.look();
      // Old pages that are not overwritten now end by themselves.
      await cache.put(changed.map((page) => ({ ...page, ttlMs: pageTtlMs }))).catch((error: unknown) => {
        log.warn({ err: error, pages: changed.length }, 'pages of changed products were not kept');
      });
    }
    res.status(204).end();
  };
}
