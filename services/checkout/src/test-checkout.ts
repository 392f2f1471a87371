/** Checkout over a real Redis with a tiny issuer, for tests: the service's own parts, started and stopped. */
import { randomBytes } from 'node:crypto';
import { HttpError } from '@flashsale/platform/http';
import { createLogger } from '@flashsale/platform/log';
import { createTokenVerifier } from '@flashsale/platform/oidc';
import { connectRedis, createSaleStore, createSignals, type RedisConnection } from '@flashsale/platform/redis';
import type { LedgerEntry, PublishedSale, SaleEvent, SaleStore, TopicName } from '@flashsale/sale';
import { type Checkout, createCheckout } from './app.ts';
import { startTestIssuer, type TestIssuer } from './test-issuer.ts';

export interface TestCheckout {
  readonly url: string;
  readonly issuer: TestIssuer;
  readonly redis: RedisConnection;
  readonly store: SaleStore;
  readonly checkout: Checkout;
  /** What the relay sent. */
  readonly sent: { readonly topic: TopicName; readonly event: SaleEvent }[];
  /** What orders knows, by purchase id. */
  readonly ledger: Map<string, LedgerEntry>;
  /** Warms and publishes the sale, and waits until checkout knows it. */
  open(sale: PublishedSale): Promise<void>;
  stop(): Promise<void>;
}

export function randomSaleName(): string {
  return `drop-${randomBytes(6).toString('hex')}`;
}

/** `wrap` may put something between checkout and its store: a counter, a fault. */
export async function startTestCheckout(
  redisUrl: string,
  wrap: (store: SaleStore) => SaleStore = (store) => store,
): Promise<TestCheckout> {
  const log = createLogger('checkout-test', process.env['LOG_LEVEL'] ?? 'silent');
  const redis = connectRedis(redisUrl, log);
  const issuer = await startTestIssuer();
  const store = createSaleStore(redis);
  const sent: TestCheckout['sent'] = [];
  const ledger = new Map<string, LedgerEntry>();
  const checkout = createCheckout({
    store: wrap(store),
    signals: createSignals(redis),
    sink: {
      send: (topic, events) => {
        sent.push(...events.map((event) => ({ topic, event })));
        return Promise.resolve();
      },
    },
    verifier: createTokenVerifier({ issuer: issuer.issuer, audience: issuer.audience }),
    orders: { json: <T>(method: string, path: string) => readLedger<T>(ledger, method, path) },
    log,
    port: 0,
    consumer: `test-${process.pid}-${randomBytes(4).toString('hex')}`,
  });
  const parts = [redis, ...checkout.parts];
  for (const part of parts) await part.start?.();
  const opened: PublishedSale[] = [];
  return {
    url: `http://127.0.0.1:${checkout.http.port}`,
    issuer,
    redis,
    store,
    checkout,
    sent,
    ledger,
    open: async (sale) => {
      opened.push(sale);
      await store.warm(sale, sale.epoch);
      await store.publish(sale);
      await checkout.directory.refresh();
    },
    stop: async () => {
      for (const part of parts.toReversed()) if (part !== redis) await part.drain?.();
      for (const sale of opened) {
        await store.unpublish(sale.name);
        await store.purge(sale);
      }
      for (const part of parts.toReversed()) await part.stop?.();
      await issuer.stop();
    },
  };
}

function readLedger<T>(ledger: ReadonlyMap<string, LedgerEntry>, method: string, path: string): Promise<T> {
  const entry = ledger.get(decodeURIComponent(path.slice(path.lastIndexOf('/') + 1)));
  return entry ? Promise.resolve(entry as T) : Promise.reject(new HttpError(`${method} ${path}`, 404, ''));
}
