/** The process of payments: two consumers and the internal routes. */
import { fileURLToPath } from 'node:url';
import { ensureDatabase, migrate, openDatabase } from '@flashsale/platform/database';
import { httpPart } from '@flashsale/platform/http';
import { createKafka } from '@flashsale/platform/kafka';
import { connectRedis, createSaleStore, createSignals } from '@flashsale/platform/redis';
import { run } from '@flashsale/platform/run';
import { putOffUnpublished, TOPICS } from '@flashsale/sale';
import { createPaymentsApp } from './app.ts';
import { sqlBook } from './book.ts';
import { createCharge } from './charge.ts';
import { readConfig } from './config.ts';
import { PrismaClient } from './generated/prisma/client.ts';
import type { PaymentPorts } from './ports.ts';
import { createRefund } from './refund.ts';

const MIGRATIONS = fileURLToPath(new URL('../prisma/migrations', import.meta.url));

await run('payments', async ({ log, env }) => {
  const config = readConfig(env);
  await ensureDatabase(config.DATABASE_URL);
  await migrate(config.DATABASE_URL, MIGRATIONS, log);
  const db = openDatabase(PrismaClient, config.DATABASE_URL);
  const book = sqlBook(db);
  const redis = connectRedis(config.REDIS_URL, log);
  const signals = createSignals(redis);
  const kafka = createKafka({ brokers: config.KAFKA_BROKERS, clientId: 'payments', log });
  const producer = kafka.producer();
  const store = createSaleStore(redis);
  const ports: PaymentPorts = {
    book,
    store,
    signals,
    send: (topic, events) => producer.send(topic, events),
    log,
    openingCreditMinor: config.OPENING_CREDIT_MINOR,
  };
  const charges = kafka.consumer({
    group: 'payments',
    topics: [TOPICS.purchases],
    handle: putOffUnpublished(store, createCharge(ports)),
  });
  const refunds = kafka.consumer({
    group: 'payments-refunds',
    topics: [TOPICS.refunds],
    handle: putOffUnpublished(store, createRefund(ports)),
  });
  const app = createPaymentsApp(book, config.ACCOUNT_CURRENCY, log);
  const http = httpPart({ app, port: config.PORT, log });
  return [db, redis, signals, kafka.ensureTopics(), producer, http, refunds, charges];
});
