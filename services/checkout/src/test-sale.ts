/** A sale for tests and benchmarks: open now, one item, whatever is not told otherwise. */
import type { PublishedSale, SaleItem } from '@flashsale/sale';

const HOUR_MS = 3_600_000;

export function testItem(sku: string, changes: Partial<SaleItem> = {}): SaleItem {
  return { sku, title: sku, stock: 10, perBuyer: 1, price: { minor: 12_900, currency: 'EUR' }, ...changes };
}

export function testSale(name: string, changes: Partial<PublishedSale> = {}): PublishedSale {
  const now = Date.now();
  return {
    name,
    namespace: 'shop',
    opensAt: now - HOUR_MS,
    closesAt: now + HOUR_MS,
    paused: false,
    notReady: 'Delay',
    items: [testItem('air-zero-42')],
    holdForMs: 120_000,
    membersOnly: false,
    warm: { leadTimeMs: 600_000, shards: 2, cache: { ttlMs: 120_000, jitter: 0.3, pages: 20 } },
    scale: [],
    epoch: 1,
    phase: 'Open',
    ...changes,
  };
}
