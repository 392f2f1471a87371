/** `GET /search?q=`: the 20 products whose words, or letters, are nearest. */
import { z } from '@flashsale/platform/config';
import { parseInput, type RequestHandler } from '@flashsale/platform/http';
import { pageNames } from '@flashsale/sale';
import type { CatalogAppOptions } from './app.ts';
import { sendPage } from './send-page.ts';

/** Short: there is no end to what may be searched for, and each search is a page. */
const SEARCH_TTL_MS = 10_000;
const MOST = 80;

const query = z.object({
  q: z
    .string('write the words to search for')
    // The same search in other spaces, capitals or forms of letters is the same page.
    .transform((text) => text.normalize('NFKC').toLowerCase().replaceAll(/\s+/g, ' ').trim())
    // PostgreSQL takes no NUL, and nobody searches for the others.
    .refine((text) => !/[\u0000-\u001f\u007f]/.test(text) && text.isWellFormed(), 'must be readable text')
    .refine((text) => text.length >= 2 && text.length <= MOST, `must have 2 to ${MOST} characters`),
});

export function searchRoute({ products, searches }: Pick<CatalogAppOptions, 'products' | 'searches'>): RequestHandler {
  return async (req, res) => {
    const { q } = parseInput(query, req.query);
    const source = { load: () => products.search(q), ttlMs: SEARCH_TTL_MS };
    const found = await searches.read(pageNames.search(q), source);
    sendPage(req, res, found ?? { body: '{"products":[]}' });
  };
}
