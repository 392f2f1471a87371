/** The products on PostgreSQL. Each read takes the catalog's version from the same snapshot as what it shows. */
import { decimalAmount, pageNames, type PageContent } from '@flashsale/sale';
import type { PrismaClient } from './generated/prisma/client.ts';
import type { CatalogVersion, NamedPage, NewProduct, Products, ProductSource } from './ports.ts';

/** Longest a change may take, and may wait for a connection, in ms. */
const TRANSACTION = { timeout: 5_000, maxWait: 2_000 } as const;
/** Ids of one page of `addedAfter`. */
const IDS = 5_000;
/** Most matches that are ranked, and most that are shown. */
const RANKED = 200;
const SHOWN = 20;

interface Row {
  readonly id: string;
  readonly title: string;
  readonly description: string;
  readonly priceMinor: number;
  readonly currency: string;
}

type Reader = Pick<PrismaClient, '$queryRaw'>;

export function sqlProducts(db: PrismaClient): Products {
  return {
    put: (source, products) => put(db, source, products),
    version: () => version(db),
    addedAfter: (after) => addedAfter(db, after),
    productPages: (ids) => productPages(db, ids),
    listPages: (first, last, size) => listPages(db, first, last, size),
    search: (words) => search(db, words),
  };
}

async function put(db: PrismaClient, source: ProductSource, products: readonly NewProduct[]): Promise<NamedPage[]> {
  const started = performance.now();
  return db.$transaction(async (tx) => {
    const [state] = await tx.$queryRaw<{ next: number }[]>`
      SELECT (version + 1)::float8 AS next FROM catalog_state FOR UPDATE`;
    const next = state?.next ?? 1;
    const rows = await tx.$queryRaw<(Row & { added: boolean })[]>`
      INSERT INTO products (id, title, description, price_minor, currency, source, added_in, changed_in)
      SELECT id, title, description, price, currency, ${source}::product_source, ${next}::bigint, ${next}::bigint
      FROM unnest(
        ${products.map((one) => one.id)}::text[],
        ${products.map((one) => one.title)}::text[],
        ${products.map((one) => one.description)}::text[],
        ${products.map((one) => one.priceMinor)}::bigint[],
        ${products.map((one) => one.currency)}::text[]
      ) AS u (id, title, description, price, currency)
      ON CONFLICT (id) DO UPDATE SET title = excluded.title, description = excluded.description,
        price_minor = excluded.price_minor, currency = excluded.currency, source = excluded.source,
        changed_in = excluded.changed_in
      WHERE (products.source = 'sale' OR excluded.source = 'seller')
        AND (products.title, products.description, products.price_minor, products.currency, products.source)
          IS DISTINCT FROM
          (excluded.title, excluded.description, excluded.price_minor, excluded.currency, excluded.source)
      RETURNING id, title, description, price_minor::float8 AS "priceMinor", currency, added_in = changed_in AS added`;
    if (rows.length === 0) return [];
    const added = rows.filter((row) => row.added).length;
    await tx.$executeRaw`UPDATE catalog_state SET version = ${next}::bigint, total = total + ${added}::int`;
    return rows.map((row) => productPage(row, next, started));
  }, TRANSACTION);
}

async function version(db: Reader): Promise<CatalogVersion> {
  const [state] = await db.$queryRaw<CatalogVersion[]>`
    SELECT version::float8 AS version, total::float8 AS total FROM catalog_state`;
  return state ?? { version: 0, total: 0 };
}

async function* addedAfter(db: Reader, after: number): AsyncGenerator<readonly string[]> {
  let from = { addedIn: after, id: '' };
  for (;;) {
    // The first page skips the version itself; later ones begin in the middle of one.
    const rows = await db.$queryRaw<{ id: string; addedIn: number }[]>`
      SELECT id, added_in::float8 AS "addedIn" FROM products
      WHERE added_in > ${after}::bigint AND (added_in, id) > (${from.addedIn}::bigint, ${from.id})
      ORDER BY added_in, id LIMIT ${IDS}`;
    yield rows.map(({ id }) => id);
    const last = rows.at(-1);
    if (!last || rows.length < IDS) return;
    from = last;
  }
}

async function productPages(db: Reader, ids: readonly string[]): Promise<NamedPage[]> {
  const started = performance.now();
  const rows = await db.$queryRaw<(Row & { version: number })[]>`
    SELECT p.id, title, description, price_minor::float8 AS "priceMinor", currency, s.version::float8 AS version
    FROM catalog_state s JOIN products p ON p.id = ANY (${ids}::text[])`;
  return rows.map((row) => productPage(row, row.version, started));
}

async function listPages(db: Reader, first: number, last: number, size: number): Promise<NamedPage[]> {
  const started = performance.now();
  // The state comes even where no product does.
  const rows = await db.$queryRaw<((Row | { id: null }) & CatalogVersion)[]>`
    SELECT p.id, title, description, price_minor::float8 AS "priceMinor", currency,
      s.version::float8 AS version, s.total::float8 AS total
    FROM catalog_state s LEFT JOIN (
      SELECT * FROM products ORDER BY id LIMIT ${(last - first + 1) * size} OFFSET ${(first - 1) * size}
    ) p ON true
    ORDER BY p.id`;
  const products = rows.flatMap((row) => (row.id === null ? [] : [shown(row)]));
  const { version: seen = 0, total = 0 } = rows[0] ?? {};
  return Array.from({ length: last - first + 1 }, (_, i) => {
    const page = first + i;
    const body = JSON.stringify({ products: products.slice(i * size, (i + 1) * size), page, size, total });
    return { name: pageNames.list(page, size), ...content(body, seen, started) };
  });
}

async function search(db: Reader, words: string): Promise<PageContent> {
  const started = performance.now();
  const rows = await db.$queryRaw<((Row | { id: null }) & { version: number })[]>`
    SELECT found.*, s.version::float8 AS version FROM catalog_state s LEFT JOIN (
      SELECT id, title, description, price_minor::float8 AS "priceMinor", currency,
        ts_rank(words, websearch_to_tsquery('simple', ${words})) + word_similarity(${words}::text, title) AS rank
      FROM (
        SELECT * FROM products
        WHERE words @@ websearch_to_tsquery('simple', ${words}) OR ${words}::text <% title
        LIMIT ${RANKED}
      ) matches
      ORDER BY rank DESC, id LIMIT ${SHOWN}
    ) found ON true
    ORDER BY rank DESC, id`;
  const products = rows.flatMap((row) => (row.id === null ? [] : [shown(row)]));
  return content(JSON.stringify({ products }), rows[0]?.version ?? 0, started);
}

function productPage(row: Row, seen: number, started: number): NamedPage {
  return { name: pageNames.product(row.id), ...content(JSON.stringify(shown(row)), seen, started) };
}

const content = (body: string, seen: number, started: number): PageContent => ({
  body,
  version: seen,
  loadMs: Math.ceil(performance.now() - started),
});

function shown({ id, title, description, priceMinor, currency }: Row) {
  return { id, title, description, price: { amount: decimalAmount(priceMinor, currency), currency } };
}
