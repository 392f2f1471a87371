/** The processes of payments and orders on real Redis, Kafka and PostgreSQL: killed in the middle, nothing is lost. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort, startKafka, testDatabase, testFolder, testRedis } from '@flashsale/local/testing';
import { internalClient } from '@flashsale/platform/http';
import { createKafka, type EventProducer } from '@flashsale/platform/kafka';
import { createLedger } from '@flashsale/platform/ledger-http';
import { createLogger } from '@flashsale/platform/log';
import { connectRedis, createSaleStore } from '@flashsale/platform/redis';
import type { Ledger, LedgerEntry, PublishedSale, SaleStore } from '@flashsale/sale';

const log = createLogger('test', 'silent');
const SHARDS = 4;
const STOCK = 400;
const BUYERS = 300;
const PRICE = 500;

interface Service {
  readonly url: string;
  kill(): Promise<void>;
  /** Exit code after SIGTERM. */
  end(): Promise<number | null>;
}

/** Starts `services/<name>/src/main.ts` and waits for its ready line. */
async function start(cleanup: AsyncDisposableStack, name: string, env: Record<string, string>): Promise<Service> {
  const main = fileURLToPath(new URL(`../../${name}/src/main.ts`, import.meta.url));
  const child = spawn(process.execPath, [main], {
    env: { ...process.env, PORT: '0', ADMIN_PORT: '0', LOG_LEVEL: 'info', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  cleanup.defer(() => end(child, 'SIGKILL').then(() => undefined));
  const lines = createInterface({ input: child.stdout });
  const ready = Promise.withResolvers<number>();
  const last: string[] = [];
  lines.on('line', (line) => {
    last.push(line);
    if (last.length > 20) last.shift();
    const { msg, port } = JSON.parse(line) as { msg?: string; port?: number };
    if (msg === 'ready' && port !== undefined) ready.resolve(port);
  });
  child.once('exit', (code) => ready.reject(new Error(`${name} ended with ${code}:\n${last.join('\n')}`)));
  const port = await ready.promise;
  return {
    url: `http://127.0.0.1:${port}`,
    kill: () => end(child, 'SIGKILL').then(() => undefined),
    end: () => end(child, 'SIGTERM'),
  };
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const exited = once(child, 'exit');
  child.kill(signal);
  const [code] = (await exited) as [number | null];
  return code;
}

function saleOf(name: string): PublishedSale {
  const now = Date.now();
  return {
    name,
    namespace: 'shop',
    opensAt: now - 1_000,
    closesAt: now + 600_000,
    paused: false,
    notReady: 'Delay',
    items: [{ sku: 'shoe', title: 'Shoe', stock: STOCK, perBuyer: 1, price: { minor: PRICE, currency: 'EUR' } }],
    holdForMs: 300_000,
    membersOnly: false,
    warm: { leadTimeMs: 0, shards: SHARDS, cache: { ttlMs: 1_000, jitter: 0, pages: 0 } },
    scale: [],
    epoch: 1,
    phase: 'Open',
  };
}

/** Reserves one unit for each buyer; every shard gets its share. */
async function reserveAll(store: SaleStore, sale: PublishedSale): Promise<void> {
  for (let shard = 0; shard < SHARDS; shard++) {
    const batch = [];
    for (let n = shard; n < BUYERS; n += SHARDS) {
      const id = `${sale.name}.${shard}.${randomBytes(17).toString('base64url').slice(0, 22)}`;
      batch.push({ id, buyer: { id: `${sale.name}-${n}`, number: n }, quantity: 1, correlationId: id });
    }
    const answers = await store.reserve(sale, { sale: sale.name, shard, sku: 'shoe' }, batch);
    assert.deepEqual(new Set(answers.map(({ code }) => code)), new Set(['reserved']));
  }
}

/** The entries once none is open any more. No event tells that across processes: it is asked for, for a minute. */
async function allResolved(ledger: Ledger, sale: string): Promise<LedgerEntry[]> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const entries: LedgerEntry[] = [];
    for await (const entry of ledger.entries(sale)) entries.push(entry);
    const open = BUYERS - entries.filter(({ status }) => status !== 'reserved').length;
    if (open === 0) return entries;
    assert.ok(Date.now() < deadline, `${open} purchases are still open`);
    await sleep(100);
  }
}

/** The relay's work: each entry goes to the log, its first events twice. */
async function relay(store: SaleStore, sale: string, shard: number, producer: EventProducer): Promise<void> {
  for (const { topic, events } of await store.readOutbox(sale, shard, 'relay', 100, 60_000)) {
    await producer.send(topic, events);
    await producer.send(topic, events.slice(0, 3));
  }
}

/** Every fifth buyer has no credit. */
const isPoor = (n: number): boolean => n % 5 === 0;
const POOR = Array.from({ length: BUYERS }, (_, n) => n).filter(isPoor).length;

test('after kill -9 of both services in the middle, every charge has its sale, and every refusal its unit back', async (t) => {
  // Ends what was started, the last first.
  const cleanup = new AsyncDisposableStack();
  t.after(() => cleanup.disposeAsync());
  // A Kafka of its own: the services' topics and groups have fixed names.
  const server = await startKafka({
    dataDir: join(testFolder(), 'kafka-processes'),
    port: await freePort(),
    durable: false,
  });
  cleanup.defer(() => server.stop());
  const redis = connectRedis(await testRedis(), log);
  await redis.start();
  cleanup.defer(() => redis.stop());
  const store = createSaleStore(redis);
  const shared = { KAFKA_BROKERS: server.url, REDIS_URL: await testRedis(), OIDC_ISSUER: 'http://127.0.0.1:9' };
  const paymentsEnv = { ...shared, DATABASE_URL: await testDatabase(), OPENING_CREDIT_MINOR: `${PRICE}` };
  const ordersEnv = { ...shared, DATABASE_URL: await testDatabase() };
  let [payments, orders] = await Promise.all([
    start(cleanup, 'payments', paymentsEnv),
    start(cleanup, 'orders', ordersEnv),
  ]);

  const sale = saleOf(`s${randomBytes(6).toString('hex')}`);
  cleanup.defer(() => store.purge(sale));
  await store.warm(sale, sale.epoch);
  await createLedger(orders.url).allocate(sale);
  const accounts = Array.from({ length: BUYERS }, (_, n) => n)
    .filter(isPoor)
    .map((n) => ({ buyer: `${sale.name}-${n}`, creditMinor: 0 }));
  await internalClient(payments.url).json('PUT', '/internal/accounts', { accounts });
  await reserveAll(store, sale);

  const producer = createKafka({ brokers: server.url, clientId: 'relay', log }).producer();
  await producer.start?.();
  cleanup.defer(async () => producer.stop?.());
  for (let shard = 0; shard < SHARDS; shard++) {
    if (shard === SHARDS / 2) await Promise.all([payments.kill(), orders.kill()]);
    await relay(store, sale.name, shard, producer);
  }
  [payments, orders] = await Promise.all([
    start(cleanup, 'payments', paymentsEnv),
    start(cleanup, 'orders', ordersEnv),
  ]);

  const ledger = createLedger(orders.url);
  const entries = await allResolved(ledger, sale.name);
  const byStatus = Map.groupBy(entries, ({ status }) => status);
  assert.equal(byStatus.get('paid')?.length, BUYERS - POOR);
  assert.equal(byStatus.get('refused')?.length, POOR);
  assert.ok(byStatus.get('refused')?.every(({ buyer }) => isPoor(Number(buyer.slice(buyer.lastIndexOf('-') + 1)))));
  assert.deepEqual(await ledger.totals(sale.name), [{ sku: 'shoe', allocated: STOCK, sold: BUYERS - POOR }]);
  assert.deepEqual((await store.inspect(sale))?.items.get('shoe'), {
    stock: STOCK,
    free: STOCK - BUYERS + POOR,
    held: 0,
    sold: BUYERS - POOR,
  });
  assert.deepEqual(await Promise.all([payments.end(), orders.end()]), [0, 0], 'both drain and end cleanly');
});
