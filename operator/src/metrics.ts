/** What the operator counts of its sales and clocks. The loop's own metrics are the engine's. */
import { Counter, Gauge } from '@flashsale/platform/metrics';
import { PHASES } from '@flashsale/sale';
import type { SaleStatus } from './status.ts';

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
const clockOffset = new Gauge({
  name: 'flashsale_clock_offset_seconds',
  help: "How far another clock is ahead of the operator's, by source: redis, kubernetes",
  labelNames: ['source'],
});
const clockJumps = new Counter({
  name: 'flashsale_clock_jumps_total',
  help: "Jumps of the operator's clock by more than 2 s",
});

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

export function showClock(source: string, offsetMs: number): void {
  clockOffset.set({ source }, offsetMs / 1000);
}

export const countClockJump = (): void => clockJumps.inc();
