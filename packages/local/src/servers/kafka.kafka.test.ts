/** The Kafka of the local platform: acknowledged records survive a crash; topics are never made by accident. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createKafka } from '@flashsale/platform/kafka';
import { createLogger } from '@flashsale/platform/log';
import { TOPICS, type SaleEvent } from '@flashsale/sale';
import { freePort } from '../ports.ts';
import { startKafka } from './kafka.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'flashsale-kafka-'));
after(() => rmSync(dataDir, { recursive: true, force: true }));

const event: SaleEvent = {
  type: 'paid',
  id: 'sale.0.AAAAAAAAAAAAAAAAAAAAAA',
  sale: 'sale',
  sku: 'sku',
  quantity: 1,
  buyer: 'buyer-1',
  amountMinor: 100,
  currency: 'EUR',
  epoch: 1,
  correlationId: 'kept',
  at: 1,
};

test('a record is there after kill -9', async () => {
  const port = await freePort();
  const first = await startKafka({ dataDir, port });
  const log = createLogger('test', 'silent');
  const kafka = createKafka({ brokers: first.url, clientId: 'test', log });
  const producer = kafka.producer();
  await kafka.ensureTopics(1).start?.();
  await producer.start?.();
  await producer.send(TOPICS.payments, [event]);
  await producer.stop?.();
  await first.kill();

  const second = await startKafka({ dataDir, port });
  const purchaseLog = kafka.log();
  await purchaseLog.start?.();
  const found: SaleEvent[] = [];
  for await (const record of purchaseLog.readAll(TOPICS.payments)) found.push(record);
  assert.deepEqual(
    found.map(({ id }) => id),
    [event.id],
  );
  await purchaseLog.stop?.();
  await second.stop();
});
