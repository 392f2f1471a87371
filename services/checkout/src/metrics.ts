/** What checkout tells Prometheus. The hot path counts in plain variables, which are handed over when somebody asks. */
import { Counter, Gauge, Histogram } from '@flashsale/platform/metrics';
import { ERRORS } from '@flashsale/sale';

/** Purchases answered since Prometheus last asked, by outcome. */
const answered = new Map<string, { count: number }>(
  ['reserved', 'replayed', ...Object.keys(ERRORS)].map((outcome) => [outcome, { count: 0 }]),
);

new Counter({
  name: 'checkout_purchases_total',
  help: 'Purchase requests by what they were answered.',
  labelNames: ['outcome'],
  collect() {
    for (const [outcome, since] of answered) {
      if (since.count === 0) continue;
      this.inc({ outcome }, since.count);
      since.count = 0;
    }
  },
});

export function countPurchase(outcome: string): void {
  const since = answered.get(outcome);
  if (since) since.count++;
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

let waiting = 0;

new Gauge({
  name: 'checkout_queued_purchases',
  help: 'Purchases waiting for a reserve call.',
  collect() {
    this.set(waiting);
  },
});

export function setQueued(purchases: number): void {
  waiting = purchases;
}

export const outboxLag = new Gauge({
  name: 'checkout_outbox_lag_seconds',
  help: 'Age of the oldest event that this process found in the outbox at its last pass; 0 when it found none.',
});

export const relayed = new Counter({ name: 'checkout_relayed_events_total', help: 'Events written to Kafka.' });

export const swept = new Counter({
  name: 'checkout_expired_holds_total',
  help: 'Holds released because their time passed.',
});
