/** The process of orders: the consumer that keeps the ledger, and the routes that read it. */
import { fileURLToPath } from 'node:url';
import { ensureDatabase, migrate, openDatabase } from '@flashsale/platform/database';
import { httpPart } from '@flashsale/platform/http';
import { createKafka } from '@flashsale/platform/kafka';
import { createTokenVerifier } from '@flashsale/platform/oidc';
import { connectRedis, createSaleStore, createSignals } from '@flashsale/platform/redis';
import { run } from '@flashsale/platform/run';
import { putOffUnpublished, TOPICS } from '@flashsale/sale';
import { createOrdersApp } from './app.ts';
import { readConfig } from './config.ts';
import { PrismaClient } from './generated/prisma/client.ts';
import { inboxPruner } from './prune-inbox.ts';
import { createRecord } from './record.ts';
import { sqlLedger } from './sql-ledger.ts';

const MIGRATIONS = fileURLToPath(new URL('../prisma/migrations', import.meta.url));

await run('orders', async ({ log, env }) => {
  const config = readConfig(env);
  await ensureDatabase(config.DATABASE_URL);
  await migrate(config.DATABASE_URL, MIGRATIONS, log);
  const db = openDatabase(PrismaClient, config.DATABASE_URL);
  const ledger = sqlLedger(db);
  const redis = connectRedis(config.REDIS_URL, log);
  const signals = createSignals(redis);
  const kafka = createKafka({ brokers: config.KAFKA_BROKERS, clientId: 'orders', log });
  const producer = kafka.producer();
  const store = createSaleStore(redis);
  const record = createRecord({
    ledger,
    store,
    signals,
    send: (topic, events) => producer.send(topic, events),
    log,
  });
  const handle = putOffUnpublished(store, record);
  const consumer = kafka.consumer({ group: 'orders', topics: [TOPICS.purchases, TOPICS.payments], handle });
  const verifier = createTokenVerifier({ issuer: config.OIDC_ISSUER, audience: config.OIDC_AUDIENCE });
  const http = httpPart({ app: createOrdersApp({ ledger, verifier, log }), port: config.PORT, log });
  return [db, redis, signals, kafka.ensureTopics(), producer, inboxPruner(db, log), http, consumer];
});
