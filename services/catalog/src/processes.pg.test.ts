/** Two real processes of the catalog on one database and one Redis: a herd, made-up ids, a drain, and a Redis that dies. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { freePort, startRedis, testDatabase, testFolder, type RunningServer } from '@flashsale/local/testing';
import { internalClient } from '@flashsale/platform/http';
import { createLogger } from '@flashsale/platform/log';
import { connectRedis, type RedisConnection } from '@flashsale/platform/redis';
import { keys, pageNames } from '@flashsale/sale';

const SHOE = { id: 'shoe', title: 'Shoe', description: '', price: { amount: '129.00', currency: 'EUR' } };

interface Running {
  readonly child: ChildProcess;
  readonly url: string;
  readonly metrics: string;
}

let server: RunningServer;
let redis: RedisConnection;
let catalogs: Running[] = [];

before(async () => {
  // Its own: it is ended, and its pages are those of this file alone.
  server = await startRedis({ dataDir: join(testFolder(), 'redis-catalog'), port: await freePort(), durable: false });
  redis = connectRedis(server.url, createLogger('test', 'silent'));
  await redis.start();
  const env = { REDIS_URL: server.url, DATABASE_URL: await testDatabase() };
  catalogs = await Promise.all([start(env), start(env)]);
  await addProduct(SHOE);
});
after(async () => {
  for (const { child } of catalogs) child.kill('SIGKILL');
  await redis.stop();
  await server.stop();
});

/** Through the first process. Its page is taken away, so that the second has only its filter: waits until that has looked. */
async function addProduct(product: typeof SHOE): Promise<void> {
  await internalClient(one().url).text('PUT', '/internal/products', { products: [product] });
  await redis.command('DEL', keys.page(pageNames.product(product.id)));
  const until = Date.now() + 10_000;
  while ((await fetch(`${catalogs[1]?.url}/api/v1/products/${product.id}`)).status !== 200) {
    assert.ok(Date.now() < until, 'known to the other process in time');
  }
}

const one = (): Running => catalogs[0] ?? assert.fail('none runs');

async function start(env: Record<string, string>): Promise<Running> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'main.ts')], {
    env: { ...process.env, ...env, PORT: '0', ADMIN_PORT: '0', LOG_LEVEL: 'info' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const { msg, port, adminPort } = JSON.parse(line) as { msg: string; port: number; adminPort: number };
    if (msg !== 'ready') continue;
    child.stdout.resume();
    return { child, url: `http://127.0.0.1:${port}`, metrics: `http://127.0.0.1:${adminPort}/metrics` };
  }
  return assert.fail(`it ended with ${child.exitCode}`);
}

/** Pages read from the database, over both processes. */
async function loads(): Promise<number> {
  const texts = await Promise.all(catalogs.map(async ({ metrics }) => (await fetch(metrics)).text()));
  return texts.reduce((sum, text) => sum + Number(/^catalog_page_loads_total (\d+)$/m.exec(text)?.[1] ?? 0), 0);
}

/** Requests spread over both processes, all at once. */
async function herd(count: number, pathOf: (n: number) => string): Promise<Response[]> {
  return Promise.all(
    Array.from({ length: count }, (_, n) => fetch(`${catalogs[n % catalogs.length]?.url}/api/v1${pathOf(n)}`)),
  );
}

test('1,000 readers of one cold page at two processes: one read of the database', { timeout: 120_000 }, async () => {
  for (const [path, name] of [
    ['/products/shoe', pageNames.product('shoe')],
    ['/products', pageNames.list(1)],
    ['/search?q=shoe', pageNames.search('shoe')],
  ] as const) {
    await redis.command('DEL', keys.page(name));
    const before = await loads();
    const answers = await herd(1_000, () => path);
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]), path);
    const bodies = new Set(await Promise.all(answers.map((answer) => answer.text())));
    assert.equal(bodies.size, 1);
    assert.match([...bodies][0] ?? '', /"id":"shoe"/);
    assert.equal((await loads()) - before, 1, path);
  }
});

test('2,000 made-up ids cost the database next to nothing', { timeout: 120_000 }, async () => {
  const before = await loads();
  const answers = await herd(2_000, (n) => `/products/made-up-${n}`);
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([404]));
  // The filter takes 7 in 10,000 for known.
  assert.ok((await loads()) - before <= 10);
});

test('a product that one process was given is known to the other within its second', { timeout: 120_000 }, async () => {
  await addProduct({ ...SHOE, id: 'hat' });
});

test('when Redis dies pages still come, from the database; a drain ends with 0', { timeout: 120_000 }, async () => {
  await redis.stop();
  await server.stop();
  const answers = await herd(200, () => '/products/shoe');
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
  assert.equal((await fetch(`${one().url}/api/v1/products/made-up`)).status, 404);
  const exits = catalogs.map(({ child }) => once(child, 'exit'));
  for (const { child } of catalogs) child.kill('SIGTERM');
  assert.deepEqual(
    (await Promise.all(exits)).map(([code]) => code as number),
    [0, 0],
  );
});
