/** The Ledger port over the internal API of orders, for the operator and the proof. */
import type { Ledger, LedgerEntry, LedgerTotals } from '@flashsale/sale';
import { HttpError, internalClient } from './http-client.ts';

/** `allocate` would put less on sale than is sold already. */
export class AllocationRefused extends Error {
  constructor(sale: string, cause: unknown) {
    super(`${sale}: more of an item is sold already than would be allocated`, { cause });
    this.name = 'AllocationRefused';
  }
}

/**
 * `ordersUrl` is the address of orders; `deadlineMs` is for a call, and for each piece of `entries` and `sales`.
 * Throws AllocationRefused, HttpError, DeadlineError.
 */
export function createLedger(ordersUrl: string, deadlineMs?: number): Ledger {
  const client = internalClient(ordersUrl, deadlineMs);
  const path = (sale: string, what: string): string => `/internal/sales/${encodeURIComponent(sale)}/${what}`;
  return {
    async allocate(sale) {
      const items = sale.items.map(({ sku, stock, perBuyer }) => ({ sku, allocated: stock, perBuyer }));
      try {
        await client.json('PUT', path(sale.name, 'allocation'), { items });
      } catch (error) {
        throw error instanceof HttpError && error.status === 409 ? new AllocationRefused(sale.name, error) : error;
      }
    },
    async totals(sale) {
      return (await client.json<{ items: LedgerTotals[] }>('GET', path(sale, 'totals'))).items;
    },
    entries: (sale) => client.lines<LedgerEntry>(path(sale, 'entries')),
    sales: () => client.lines<{ sale: string; sku: string }>('/internal/sales'),
  };
}
