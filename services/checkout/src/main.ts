/** Checkout as a process: wiring only. */
import { randomUUID } from 'node:crypto';
import { internalClient } from '@flashsale/platform/http';
import { createKafka } from '@flashsale/platform/kafka';
import { createTokenVerifier } from '@flashsale/platform/oidc';
import { connectRedis, createSaleStore, createSignals } from '@flashsale/platform/redis';
import { run } from '@flashsale/platform/run';
import { createCheckout } from './app.ts';
import { readConfig } from './config.ts';

/** The rest of a second is for the way to the buyer. In ms. */
const ORDERS_MS = 800;

await run('checkout', ({ log, env }) => {
  const config = readConfig(env);
  const redis = connectRedis(config.REDIS_URL, log);
  const signals = createSignals(redis);
  const kafka = createKafka({ brokers: config.KAFKA_BROKERS, clientId: 'checkout', log });
  const producer = kafka.producer();
  const verifier = createTokenVerifier({ issuer: config.OIDC_ISSUER, audience: config.OIDC_AUDIENCE });
  const checkout = createCheckout({
    store: createSaleStore(redis),
    signals,
    sink: producer,
    verifier,
    orders: internalClient(config.ORDERS_URL, ORDERS_MS),
    log,
    port: config.PORT,
    consumer: randomUUID(),
  });
  const keys = { name: 'oidc-keys', start: () => verifier.warm() };
  return [redis, signals, kafka.ensureTopics(), producer, keys, ...checkout.parts];
});
