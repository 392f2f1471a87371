/** The sample sale of `npm start` and its hot pages, on the whole platform: warm before the opening, served through the edge. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import type { SaleStatus } from '@flashsale/operator/status';
import { createPageCache } from '@flashsale/platform/redis';
import { pageNames } from '@flashsale/sale';
import { sampleSale } from '../commands/start.ts';
import { eventually, TestPlatform } from './test-platform.ts';

const BIN = join(import.meta.dirname, '../../bin/flashsale.mjs');
const run = promisify(execFile);
const NAME = 'sneaker-drop';
const SKU = 'air-zero-42';
/** Far enough ahead that everything below happens before the opening. */
const AHEAD_MS = 300_000;

let platform: TestPlatform;
before(async () => {
  platform = await TestPlatform.start();
  const file = join(tmpdir(), `pages-${process.pid}.yaml`);
  await writeFile(file, await sampleSale(NAME, Date.now() + AHEAD_MS));
  await run(process.execPath, [BIN, 'apply', '-f', file]);
  await rm(file);
});
after(() => platform.end());

const cacheWarm = ({ conditions }: SaleStatus) => conditions.find(({ type }) => type === 'CacheWarm');
const get = (path: string): Promise<Response> => fetch(`${platform.edge}/api/v1${path}`);
const product = { id: SKU, title: 'Air Zero, size 42', description: '', price: { amount: '129.00', currency: 'EUR' } };

test('the sample sale is Armed with all its pages warm, and the edge serves them', { timeout: 120_000 }, async () => {
  const armed = await platform.until(NAME, 'Armed', ({ phase }) => phase === 'Armed', 60_000);
  const { status, message } = cacheWarm(armed) ?? {};
  assert.deepEqual([status, message], ['True', '21 of 21 hot pages were read back from the cache']);
  const one = await get(`/products/${SKU}`);
  assert.deepEqual([one.status, await one.json()], [200, product]);
  assert.ok(one.headers.get('etag'));
  const list = (await (await get('/products')).json()) as { products: unknown[]; total: number };
  assert.deepEqual([list.products, list.total], [[product], 1]);
  const found = (await (await get('/search?q=air+zero')).json()) as { products: unknown[] };
  assert.deepEqual(found.products, [product]);
  const none = await get('/products/made-up');
  assert.deepEqual([none.status, ((await none.json()) as { code: string }).code], [404, 'product_not_found']);
  assert.equal((await fetch(`${platform.edge}/internal/products`, { method: 'PUT' })).status, 404);
});

test(
  'a catalog that is killed while Redis forgets a page: both are back before the opening',
  { timeout: 120_000 },
  async () => {
    const pid = platform.pidOf('catalog');
    assert.ok(pid);
    process.kill(pid, 'SIGKILL');
    await platform.redis.command('DEL', `fs:page:${pageNames.product(SKU)}`);
    const cache = createPageCache(platform.redis);
    await eventually('the page is back', 30_000, () => cache.get(pageNames.product(SKU)));
    const armed = await platform.until(NAME, 'Armed', (status) => status.phase === 'Armed', 30_000);
    assert.equal(cacheWarm(armed)?.status, 'True');
    assert.notEqual(platform.pidOf('catalog'), pid);
    assert.deepEqual(await (await get(`/products/${SKU}`)).json(), product);
  },
);
