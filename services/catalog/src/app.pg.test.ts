/** The routes of the catalog on a real PostgreSQL and a real Redis, and the hot pages through the adapter that the operator uses. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { createHotPages } from '@flashsale/platform/hot-pages-http';
import { HttpError, internalClient, type InternalClient } from '@flashsale/platform/http';
import { hotPages, pageNames, type Sale } from '@flashsale/sale';
import { hotPagesContract } from '@flashsale/sale/pages-contract';
import { sqlProducts } from './sql-products.ts';
import { testCatalog, type TestCatalog } from './test-catalog.fixture.ts';

let catalog: TestCatalog;
let client: InternalClient;
before(async () => {
  catalog = await testCatalog();
  client = internalClient(catalog.url);
});
after(() => catalog[Symbol.asyncDispose]());

interface Product {
  readonly id: string;
  readonly title: string;
  readonly description: string;
  readonly price: { readonly amount: string; readonly currency: string };
}
interface Body {
  readonly products: readonly Product[];
  readonly page: number;
  readonly size: number;
  readonly total: number;
  readonly code?: string;
}
const fresh = (): string => `p${randomBytes(6).toString('hex')}`;
const product = (id: string, more: Partial<Product> = {}): Product => ({
  id,
  title: `Shoe ${id}`,
  description: '',
  price: { amount: '129.00', currency: 'EUR' },
  ...more,
});

const put = (products: readonly unknown[], source?: string): Promise<string> =>
  client.text('PUT', '/internal/products', source === undefined ? { products } : { source, products });
async function get(path: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${catalog.url}/api/v1${path}`, { headers });
}
const bodyOf = async (path: string): Promise<Body> => (await (await get(path)).json()) as Body;
const isRefused = (status: number, words: string) => (error: unknown) =>
  error instanceof HttpError && error.status === status && error.body.includes(words);

test('a product is shown as it was written, with an ETag that answers 304, and read from the database once', async () => {
  const one = product(fresh(), { title: 'Läufer "Zero" 42', description: 'quick\nand light' });
  await put([one]);
  catalog.reads.length = 0;
  const first = await get(`/products/${one.id}`);
  assert.equal(first.status, 200);
  assert.equal(first.headers.get('content-type'), 'application/json; charset=utf-8');
  assert.match(first.headers.get('cache-control') ?? '', /^public, max-age=\d+/);
  assert.deepEqual(await first.json(), one);
  const etag = first.headers.get('etag') ?? '';
  for (const known of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
    const again = await get(`/products/${one.id}`, { 'If-None-Match': known });
    assert.deepEqual([again.status, await again.text(), again.headers.get('etag')], [304, '', etag]);
  }
  assert.equal((await get(`/products/${one.id}`, { 'If-None-Match': '"x"' })).status, 200);
  assert.deepEqual(catalog.reads, [], 'the page was kept when the product was written');
  await catalog.lose(pageNames.product(one.id));
  await get(`/products/${one.id}`);
  await get(`/products/${one.id}`);
  assert.deepEqual(catalog.reads, ['productPages']);
});

test('a changed product is seen at once, and the old ETag no longer answers', async () => {
  const one = product(fresh());
  await put([one]);
  const etag = (await get(`/products/${one.id}`)).headers.get('etag') ?? '';
  const dearer = { ...one, price: { amount: '130', currency: 'JPY' } };
  await put([dearer]);
  const now = await get(`/products/${one.id}`, { 'If-None-Match': etag });
  assert.equal(now.status, 200);
  assert.deepEqual(await now.json(), dearer);
});

test('made-up ids are answered without the database, and those that cannot be ids too', async () => {
  catalog.reads.length = 0;
  for (const id of [fresh(), fresh(), 'a%20b', '..%2f', 'x'.repeat(65), 'ä']) {
    const answer = await get(`/products/${id}`);
    assert.equal(answer.status, 404);
    assert.equal(answer.headers.get('content-type'), 'application/problem+json');
    assert.equal(((await answer.json()) as Body).code, 'product_not_found');
  }
  assert.deepEqual(catalog.reads, []);
});

test('what a sale says of a product adds it, and never overwrites what a seller wrote', async () => {
  const [bare, rich] = [fresh(), fresh()];
  await put([product(bare, { title: 'Bare' })], 'sale');
  await put([product(rich, { title: 'Rich', description: 'A seller wrote this.' })]);
  await put([product(bare, { title: 'Renamed' }), product(rich, { title: 'Poor' })], 'sale');
  const titles = async (): Promise<string[]> =>
    Promise.all([bare, rich].map(async (id) => ((await (await get(`/products/${id}`)).json()) as Product).title));
  assert.deepEqual(await titles(), ['Renamed', 'Rich']);
  await put([product(bare, { title: 'Sellers' })], 'seller');
  await put([product(bare, { title: 'Again' })], 'sale');
  assert.deepEqual(await titles(), ['Sellers', 'Rich']);
});

test('the version grows with changes alone, and total counts what was added', async () => {
  const products = sqlProducts(catalog.db);
  const before = await products.version();
  const [one, two] = [product(fresh()), product(fresh())];
  await put([one, two]);
  await put([one, two]);
  await put([one, two], 'sale');
  assert.deepEqual(await products.version(), { version: before.version + 1, total: before.total + 2 });
  await Promise.all(Array.from({ length: 8 }, (_, n) => put([{ ...one, title: `t${n}` }, product(fresh())])));
  assert.deepEqual(await products.version(), { version: before.version + 9, total: before.total + 10 });
});

test('every id is handed out once, across pages and versions', async () => {
  await using other = await testCatalog();
  await other.db.$executeRaw`
    INSERT INTO products (id, title, description, price_minor, currency, source, added_in, changed_in)
    SELECT 'p' || n, 'P', '', 1, 'EUR', 'seller', n / 4000, n / 4000 FROM generate_series(0, 11999) AS n`;
  for (const [after, count] of [
    [-1, 12_000],
    [0, 8_000],
    [1, 4_000],
    [2, 0],
  ] as const) {
    const ids: string[] = [];
    for await (const some of sqlProducts(other.db).addedAfter(after)) ids.push(...some);
    assert.deepEqual([ids.length, new Set(ids).size], [count, count]);
  }
});

test('list pages follow the ids, without gaps or repeats, and are empty past the end', async () => {
  await put(Array.from({ length: 45 }, (_, n) => product(`l${fresh()}-${n}`)));
  const { total, products, page, size } = await bodyOf('/products');
  assert.deepEqual([page, size, products.length], [1, 20, 20]);
  const seen: string[] = [];
  for (let at = 1; at <= Math.ceil(total / 7); at++)
    seen.push(...(await bodyOf(`/products?page=${at}&size=7`)).products.map(({ id }) => id));
  assert.equal(seen.length, total);
  assert.deepEqual(seen, [...new Set(seen)].sort());
  assert.deepEqual(
    products.map(({ id }) => id),
    seen.slice(0, 20),
  );
  catalog.reads.length = 0;
  assert.deepEqual(await bodyOf('/products?page=10000&size=100'), { products: [], page: 10_000, size: 100, total });
  assert.deepEqual(catalog.reads, [], 'far past the end the database is not asked');
});

test('paging is bounded, and a bad number is named', async () => {
  for (const query of [
    'page=0',
    'page=10001',
    'page=x',
    'page=-1',
    'size=0',
    'size=101',
    'size=1.5',
    'page=1&page=2',
  ]) {
    const answer = await get(`/products?${query}`);
    assert.equal(answer.status, 400, query);
    const { code, errors } = (await answer.json()) as { code: string; errors: { field: string }[] };
    assert.deepEqual([code, errors[0]?.field], ['invalid_request', query.slice(0, 4)]);
  }
});

test('a list page of another size is kept for a short while: there are a hundred sizes, beside the stock in one Redis', async () => {
  await put([product(fresh())]);
  await bodyOf('/products?page=1&size=20');
  await bodyOf('/products?page=1&size=19');
  const [usual = 0, other = 0] = await catalog.cache.left([pageNames.list(1), pageNames.list(1, 19)]);
  assert.ok(usual > 20_000 && other > 0 && other <= 10_000, `${usual} and ${other} ms`);
});

test('search finds words of title and description and forgives a wrong letter, the nearest first', async () => {
  const name = `zq${randomBytes(4).toString('hex')}`;
  const [sneaker, boot, other] = [fresh(), fresh(), fresh()];
  await put([
    product(sneaker, { title: `Sneaker ${name}`, description: 'for the road' }),
    product(boot, { title: 'Boot', description: `wears like a ${name}` }),
    product(other, { title: 'Umbrella' }),
  ]);
  const idsOf = async (q: string): Promise<string[]> =>
    (await bodyOf(`/search?q=${encodeURIComponent(q)}`)).products.map(({ id }) => id);
  assert.deepEqual(await idsOf(name), [sneaker, boot]);
  assert.deepEqual(await idsOf(`  ${name.toUpperCase()}\t`), [sneaker, boot]);
  assert.deepEqual(await idsOf(`sneeker ${name}`), [sneaker]);
  assert.deepEqual(await idsOf(randomBytes(8).toString('hex')), []);
  for (const odd of ['"" OR -', "'; drop table products;--", '%_\\', '((((', 'ä€🎟'])
    assert.ok(Array.isArray(await idsOf(odd)));
});

test('a search is bounded, and the same one is asked of the database once', async () => {
  for (const q of ['', 'a', 'x'.repeat(81), '%00%00', 'a%01b']) {
    const answer = await get(`/search?q=${q}`);
    assert.equal(answer.status, 400, q);
    assert.equal(((await answer.json()) as Body).code, 'invalid_request');
  }
  assert.equal((await get('/search')).status, 400);
  const name = fresh();
  await put(Array.from({ length: 30 }, () => product(fresh(), { title: name })));
  catalog.reads.length = 0;
  const answers = await Promise.all(Array.from({ length: 50 }, () => bodyOf(`/search?q=${name}`)));
  assert.ok(answers.every(({ products }) => products.length === 20));
  assert.deepEqual(catalog.reads, ['search']);
});

test('what is wrong with a product is said, and nothing of the batch is written', async () => {
  const good = product(fresh());
  const bad: [unknown, string][] = [
    [product('a b'), 'letters, digits'],
    [{ ...good, id: fresh(), price: { amount: '1.005', currency: 'EUR' } }, 'no more decimals'],
    [{ ...good, id: fresh(), price: { amount: '-1', currency: 'EUR' } }, 'no more decimals'],
    [{ ...good, id: fresh(), price: { amount: '1', currency: 'eur' } }, 'ISO 4217'],
    [{ ...good, id: fresh(), title: 'a\0b' }, 'NUL'],
    [{ ...good, id: fresh(), colour: 'red' }, 'colour'],
    [good, 'each id once'],
  ];
  for (const [one, words] of bad) await assert.rejects(put([good, one]), isRefused(400, words));
  await assert.rejects(put([]), isRefused(400, 'invalid_request'));
  await assert.rejects(put(Array.from({ length: 101 }, () => product(fresh()))), isRefused(400, 'products'));
  assert.equal((await get(`/products/${good.id}`)).status, 404);
});

test('preloading takes hot pages alone, each once, and says how many are kept', async () => {
  const one = product(fresh());
  await put([one]);
  const preload = (pages: readonly unknown[]): Promise<unknown> =>
    client.json('POST', '/internal/pages/preload', { pages });
  const names = [
    pageNames.product(one.id),
    pageNames.product(fresh()),
    ...[1, 3, 60, 9_000].map((n) => pageNames.list(n)),
  ];
  assert.deepEqual(await preload(names.map((name) => ({ name, ttlMs: 90_000 }))), { loaded: 5 });
  assert.deepEqual(
    (await catalog.cache.left([...names, pageNames.list(2)])).map((ms) => ms !== undefined),
    [true, false, true, true, true, true, false],
  );
  for (const name of ['search/shoe', 'list/1/50', 'x', 'list/0/20'])
    await assert.rejects(preload([{ name, ttlMs: 1_000 }]), isRefused(400, 'pages.0.name'), name);
  const again = { name: names[0], ttlMs: 1_000 };
  await assert.rejects(preload([again, again]), isRefused(400, 'each page once'));
  await assert.rejects(preload([{ ...again, ttlMs: 0 }]), isRefused(400, 'pages.0.ttlMs'));
});

hotPagesContract('hot pages through the catalog', () =>
  Promise.resolve({ pages: createHotPages(catalog.url, catalog.cache), lose: (name) => catalog.lose(name) }),
);

test('the items of a sale, 256 of them with long titles, become products with their prices', async () => {
  const sku = fresh();
  const items = Array.from({ length: 256 }, (_, n) => {
    return {
      sku: `${sku}-${n}`,
      title: '🎟'.repeat(200),
      stock: 1,
      perBuyer: 1,
      price: { minor: 12_345, currency: 'JPY' },
    };
  });
  const sale = { items, warm: { cache: { pages: 0 } } } as unknown as Sale;
  const pages = createHotPages(catalog.url, catalog.cache);
  await pages.preload(
    sale,
    hotPages(sale).map((name) => ({ name, ttlMs: 60_000 })),
  );
  assert.ok((await pages.readBack(hotPages(sale))).every((ms) => ms !== undefined));
  const shown = (await (await get(`/products/${sku}-255`)).json()) as Product;
  assert.deepEqual([shown.title, shown.price], ['🎟'.repeat(200), { amount: '12345', currency: 'JPY' }]);
});

test('whatever title a sale may have, its item becomes a product', async () => {
  for (const [title, shown] of [
    ['', (sku: string) => sku],
    ['one\0two', () => 'one two'],
    ['half a pair \ud83d', () => 'half a pair \ufffd'],
  ] as const) {
    const sku = fresh();
    const items = [{ sku, title, stock: 1, perBuyer: 1, price: { minor: 100, currency: 'EUR' } }];
    const pages = createHotPages(catalog.url, catalog.cache);
    await pages.preload({ items } as unknown as Sale, [{ name: pageNames.product(sku), ttlMs: 60_000 }]);
    assert.equal(((await (await get(`/products/${sku}`)).json()) as Product).title, shown(sku));
  }
});
