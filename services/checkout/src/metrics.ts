/** What checkout tells Prometheus. Label children are made once: looking them up costs more than counting. */
import { Counter, Gauge, Histogram } from '@flashsale/platform/metrics';
import { ERRORS } from '@flashsale/sale';

const purchases = new Counter({
  name: 'checkout_purchases_total',
  help: 'Purchase requests by what they were answered.',
  labelNames: ['outcome'],
});
const children = new Map<string, Counter.Internal>(
  ['reserved', 'replayed', ...Object.keys(ERRORS)].map((outcome) => [outcome, purchases.labels(outcome)]),
);

export function countPurchase(outcome: string): void {
  children.get(outcome)?.inc();
}

export const latency = new Histogram({
  name: 'checkout_purchase_seconds',
  help: 'From the request to its answer, for requests that asked Redis.',
  buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1],
});

export const batchSize = new Histogram({
  name: 'checkout_batch_size',
  help: 'Purchases in one reserve call.',
  buckets: [1, 2, 4, 8, 16, 32, 64, 128],
});

export const queued = new Gauge({ name: 'checkout_queued_purchases', help: 'Purchases waiting for a reserve call.' });

export const outboxLag = new Gauge({
  name: 'checkout_outbox_lag_seconds',
  help: 'Age of the oldest event that this process found in the outbox at its last pass; 0 when it found none.',
});

export const relayed = new Counter({ name: 'checkout_relayed_events_total', help: 'Events written to Kafka.' });

export const swept = new Counter({
  name: 'checkout_expired_holds_total',
  help: 'Holds released because their time passed.',
});
