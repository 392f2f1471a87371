/** What the operator counts. Names of the loop's own metrics follow controller-runtime, so that its dashboards fit. */
import { Counter, Gauge, Histogram } from '@flashsale/platform/metrics';
import { PHASES } from '@flashsale/sale';
import type { SaleStatus } from './status.ts';

const CONTROLLER = { controller: 'flashsale' } as const;

const total = new Counter({
  name: 'controller_runtime_reconcile_total',
  help: 'Passes over a sale, by result',
  labelNames: ['controller', 'result'],
});
const errors = new Counter({
  name: 'controller_runtime_reconcile_errors_total',
  help: 'Passes over a sale that failed',
  labelNames: ['controller'],
});
const seconds = new Histogram({
  name: 'controller_runtime_reconcile_time_seconds',
  help: 'How long a pass over a sale took',
  labelNames: ['controller'],
  buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
});
const stock = new Gauge({
  name: 'flashsale_stock',
  help: 'Units of an item by state',
  labelNames: ['sale', 'sku', 'state'],
});
const phases = new Gauge({
  name: 'flashsale_phase',
  help: '1 for the phase that a sale is in, 0 for the others',
  labelNames: ['sale', 'phase'],
});

export type PassResult = 'success' | 'requeue_after' | 'error';

export function countPass(result: PassResult, ms: number): void {
  total.inc({ ...CONTROLLER, result });
  // Made at the first pass, so that a rate over it has a beginning.
  errors.inc(CONTROLLER, result === 'error' ? 1 : 0);
  seconds.observe(CONTROLLER, ms / 1000);
}

export function showSale(sale: string, { phase, items }: SaleStatus): void {
  for (const each of PHASES) phases.set({ sale, phase: each }, each === phase ? 1 : 0);
  for (const { sku, ...levels } of items) {
    for (const state of ['free', 'held', 'sold'] as const) stock.set({ sale, sku, state }, levels[state]);
  }
}

export function forgetSale(sale: string, { items }: SaleStatus): void {
  for (const phase of PHASES) phases.remove({ sale, phase });
  for (const { sku } of items) for (const state of ['free', 'held', 'sold']) stock.remove({ sale, sku, state });
}
