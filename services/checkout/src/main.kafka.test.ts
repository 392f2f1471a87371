/** The process as it is deployed: a purchase over HTTP ends up in Kafka, and SIGTERM ends it cleanly. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { testKafka, testRedis } from '@flashsale/local/testing';
import { createKafka } from '@flashsale/platform/kafka';
import { createLogger } from '@flashsale/platform/log';
import { connectRedis, createSaleStore, type RedisConnection } from '@flashsale/platform/redis';
import { type SaleEvent, TOPICS } from '@flashsale/sale';
import { randomSaleName } from './test-checkout.ts';
import { startTestIssuer, type TestIssuer } from './test-issuer.ts';
import { testSale } from './test-sale.ts';

const log = createLogger('test', 'silent');
let issuer: TestIssuer;
let redis: RedisConnection;
let child: ChildProcess;
let port: number;

before(async () => {
  issuer = await startTestIssuer();
  redis = connectRedis(await testRedis(), log);
  await redis.start();
  child = spawn(process.execPath, [new URL('main.ts', import.meta.url).pathname], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      PORT: '0',
      REDIS_URL: await testRedis(),
      KAFKA_BROKERS: await testKafka(),
      OIDC_ISSUER: issuer.issuer,
      ORDERS_URL: 'http://127.0.0.1:9',
    },
  });
  port = await readyPort(child);
});

after(async () => {
  child.kill('SIGKILL');
  await redis.stop();
  await issuer.stop();
});

async function readyPort({ stdout }: ChildProcess): Promise<number> {
  assert.ok(stdout);
  for await (const line of createInterface({ input: stdout })) {
    const entry = JSON.parse(line) as { msg?: string; port?: number };
    if (entry.msg === 'ready' && entry.port !== undefined) return entry.port;
  }
  throw new Error('checkout ended before it was ready');
}

test('a purchase goes through the process into Kafka, once it knows the sale; SIGTERM ends it with 0', async () => {
  const store = createSaleStore(redis);
  const sale = testSale(randomSaleName());
  await store.warm(sale, sale.epoch);
  await store.publish(sale);
  const id = await buyOnceKnown(sale.name);
  const event = await findEvent(id);
  assert.equal(event.type, 'reserved');
  assert.equal(event.buyer, 'buyer-1');
  await acknowledged(sale.name);
  await store.unpublish(sale.name);
  await store.purge(sale);

  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  assert.deepEqual(await exit, [0, null]);
});

/** The broadcast of a publication is heard within moments; until then there is no such sale. */
async function buyOnceKnown(sale: string): Promise<string> {
  const until = Date.now() + 5_000;
  for (;;) {
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/sales/${sale}/purchases`, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${await issuer.token(1)}`,
        'Idempotency-Key': 'once',
        'Content-Type': 'application/json',
      },
      body: JSON.stringify({ sku: 'air-zero-42', quantity: 1 }),
    });
    const body = (await response.json()) as { id: string; code?: string };
    if (response.status === 202) return body.id;
    assert.equal(body.code, 'sale_not_found');
    assert.ok(Date.now() < until, 'checkout never heard of the sale');
  }
}

async function findEvent(id: string): Promise<SaleEvent> {
  const purchases = createKafka({ brokers: await testKafka(), clientId: 'test', log }).log();
  await purchases.start?.();
  const until = Date.now() + 10_000;
  try {
    while (Date.now() < until) {
      const events: SaleEvent[] = [];
      for await (const event of purchases.readAll(TOPICS.purchases)) events.push(event);
      const found = events.find((event) => event.id === id);
      if (found) return found;
    }
  } finally {
    await purchases.stop?.();
  }
  throw new Error(`${id} is not in Kafka`);
}

/** What is in Kafka leaves the outbox. */
async function acknowledged(sale: string): Promise<void> {
  const until = Date.now() + 5_000;
  while ((await createSaleStore(redis).inspect(testSale(sale)))?.outbox !== 0) {
    assert.ok(Date.now() < until, 'the outbox keeps what was relayed');
  }
}
