/** The operator's process with the real orders, Redis, Kafka and supervisor API: killed before the opening, and Redis lost. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { serveWorkloads } from '@flashsale/local/supervisor/workloads-api';
import { freePort, startKafka, startRedis, testDatabase, testFolder } from '@flashsale/local/testing';
import { createLogger } from '@flashsale/platform/log';
import { connectRedis, createSaleStore } from '@flashsale/platform/redis';
import { Existence, TOPICS } from '@flashsale/sale';
import { BOUGHT, buy, end, payments, relay, SKU, start, startCatalog } from './processes.fixture.ts';
import { resourceFolder } from './resources.ts';
import type { SaleStatus } from './status.ts';

const log = createLogger('test', 'silent');
const STOCK = 20;
const UNTIL_MS = 60_000;

/** A workload that has as many replicas as it is asked for, behind the supervisor's own API. */
async function supervisor(cleanup: AsyncDisposableStack): Promise<{ url: string; replicas: () => number }> {
  let desired = 1;
  const till = {
    status: () => Promise.resolve({ desired, ready: desired }),
    scale: (replicas: number) => (desired = replicas),
  };
  type Workloads = Parameters<typeof serveWorkloads>[1];
  const api = await serveWorkloads(0, new Map([['Deployment/till', till]]) as unknown as Workloads);
  cleanup.defer(() => api.close());
  return { url: `http://127.0.0.1:${api.port}`, replicas: () => desired };
}

class Resources {
  readonly folder: string;
  readonly name: string;
  constructor(folder: string, name: string) {
    this.folder = folder;
    this.name = name;
  }

  /** In one step, as `flashsale apply` does. */
  async apply(opensAt: number, closesAt: number): Promise<void> {
    const [from, to] = [opensAt, closesAt].map((ms) => new Date(ms).toISOString());
    const rule = {
      target: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'till' },
      max: 5,
      warm: 3,
      lag: { topic: TOPICS.purchases, group: 'payments', perReplica: 500 },
    };
    const spec = {
      opensAt: from,
      closesAt: to,
      items: [{ sku: SKU, stock: STOCK, price: { amount: '1.00', currency: 'EUR' } }],
      scale: [rule],
    };
    const metadata = { name: this.name, namespace: 'shop' };
    const document = { apiVersion: 'flashsale.dev/v1', kind: 'FlashSale', metadata, spec };
    const file = join(this.folder, 'shop', `${this.name}.yaml`);
    await mkdir(join(this.folder, 'shop'), { recursive: true });
    await writeFile(`${file}.new`, JSON.stringify(document));
    await rename(`${file}.new`, file);
  }

  async status(): Promise<SaleStatus | undefined> {
    return (await resourceFolder(this.folder).list()).find(({ name }) => name === this.name)?.status;
  }

  /** No event tells across processes: it is asked for, for a minute. */
  async until(wanted: (status: SaleStatus) => boolean): Promise<SaleStatus> {
    const deadline = Date.now() + UNTIL_MS;
    for (;;) {
      const status = await this.status();
      if (status && wanted(status)) return status;
      assert.ok(Date.now() < deadline, `${String(wanted)}: ${JSON.stringify(status)}`);
      await sleep(50);
    }
  }

  async delete(): Promise<void> {
    await writeFile(join(this.folder, 'shop', `${this.name}.deleted`), '');
    const deadline = Date.now() + UNTIL_MS;
    while ((await readFile(join(this.folder, 'shop', `${this.name}.yaml`)).catch(() => undefined)) !== undefined) {
      assert.ok(Date.now() < deadline, 'deleted in time');
      await sleep(50);
    }
  }
}

const soldIn = (status: SaleStatus): number => status.items.reduce((units, item) => units + item.sold, 0);

test(
  'a sale opens without its operator, sells through a lost Redis, and is proven',
  { timeout: 240_000 },
  async (t) => {
    const cleanup = new AsyncDisposableStack();
    t.after(() => cleanup.disposeAsync());
    const folderOf = (name: string): string => join(testFolder(), `operator-${name}`);
    const [kafka, redisServer] = await Promise.all([
      startKafka({ dataDir: folderOf('kafka'), port: await freePort(), durable: false }),
      startRedis({ dataDir: folderOf('redis'), port: await freePort(), durable: false }),
    ]);
    cleanup.defer(() => kafka.stop());
    cleanup.defer(() => redisServer.stop());
    const redis = connectRedis(redisServer.url, log);
    await redis.start();
    cleanup.defer(() => redis.stop());
    const store = createSaleStore(redis);
    const shared = { KAFKA_BROKERS: kafka.url, REDIS_URL: redisServer.url, OIDC_ISSUER: 'http://127.0.0.1:9' };
    const producer = await payments(cleanup, kafka.url);
    const orders = await start(cleanup, '../../services/orders/src/main.ts', {
      ...shared,
      DATABASE_URL: await testDatabase(),
    });
    const CATALOG_URL = await startCatalog(cleanup, redisServer.url);
    const { url: supervisorUrl, replicas } = await supervisor(cleanup);
    const resources = new Resources(folderOf('resources'), `o${randomBytes(6).toString('hex')}`);
    const urls = { ORDERS_URL: orders.url, CATALOG_URL };
    const env = { ...shared, ...urls, SUPERVISOR_URL: supervisorUrl, RESOURCES_DIR: resources.folder };
    const first = await start(cleanup, 'main.ts', env);

    const opensAt = Date.now() + 6_000;
    await resources.apply(opensAt, opensAt + 600_000);
    await resources.until((status) => status.phase === 'Armed');
    assert.equal(replicas(), 3);
    await end(first.child, 'SIGKILL');
    await sleep(Math.max(0, opensAt - (await store.time()) + 5));
    const [sale] = await store.published();
    assert.ok(sale);
    assert.deepEqual(new Set(await buy(store, sale)), new Set(['reserved']));
    assert.ok(new Existence((await store.existence()) ?? new Uint8Array()).hasItem(sale.name, SKU));

    const operator = await start(cleanup, 'main.ts', env);
    await resources.until((status) => status.phase === 'Open');
    await relay(store, sale, producer);
    await resources.until((status) => soldIn(status) === BOUGHT);

    await redis.command('FLUSHALL');
    const back = await resources.until((status) => status.epoch === 2 && status.gate.includes('open'));
    assert.equal(soldIn(back), BOUGHT);
    assert.equal((await store.published())[0]?.epoch, 2);
    await resources.until(() => true);

    await resources.apply(opensAt, await store.time());
    const closed = await resources.until((status) => status.proof !== undefined);
    assert.deepEqual([closed.proof?.problems, closed.proof?.sold, closed.proof?.free], [[], BOUGHT, STOCK - BOUGHT]);
    await resources.delete();
    assert.equal(replicas(), 1, 'as it was found');
    assert.deepEqual(await redis.command('KEYS', `fs:{${sale.name}:*`), []);
    assert.equal(await end(operator.child, 'SIGTERM'), 0, 'drains and ends cleanly');
  },
);
