/** A sale and its facts for tests; each test changes what it is about. */
import type { SaleFacts } from './readiness.ts';
import type { Sale } from './types.ts';

const MINUTE = 60_000;

/** Opens at minute 60, closes at minute 90, warms up from minute 50. */
export const drop: Sale = {
  name: 'drop',
  namespace: 'shop',
  opensAt: 60 * MINUTE,
  closesAt: 90 * MINUTE,
  paused: false,
  notReady: 'Delay',
  items: [
    { sku: 'shoe', title: 'Shoe', stock: 10, perBuyer: 1, price: { minor: 12_900, currency: 'EUR' } },
    { sku: 'hat', title: 'Hat', stock: 5, perBuyer: 2, price: { minor: 2_000, currency: 'EUR' } },
  ],
  holdForMs: 2 * MINUTE,
  membersOnly: false,
  warm: { leadTimeMs: 10 * MINUTE, shards: 4, cache: { ttlMs: 2 * MINUTE, jitter: 0.3, pages: 20 } },
  scale: [
    {
      target: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'payments' },
      min: 2,
      max: 50,
      warm: 20,
      lag: { topic: 'flashsale.purchases', group: 'payments', perReplica: 500 },
    },
  ],
};

/** Everything ready, nothing sold. */
export const ready: SaleFacts = {
  sale: drop,
  phase: 'Warming',
  problems: [],
  deleting: false,
  items: new Map(drop.items.map(({ sku, stock }) => [sku, { stock, free: stock, held: 0, sold: 0 }])),
  allocated: new Map(drop.items.map(({ sku, stock }) => [sku, stock])),
  cachedPages: 22,
  readyReplicas: new Map([['Deployment/payments', 20]]),
  outbox: 0,
  lag: 0,
  proof: undefined,
};
