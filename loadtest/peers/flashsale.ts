/** Ourselves, as a peer among peers. */
import type { RunningPlatform } from '@flashsale/local/supervisor/running';
import { freshTokens, openSale, SKU, untilSettled } from '../src/load-sale.ts';
import type { Adapter, Outcome } from './adapter.ts';

/** The sale closes by itself long after its round. */
const OPEN_FOR_MS = 30 * 60_000;
const AGAIN = [425, 429, 503];

export function flashsale(running: RunningPlatform): Adapter {
  return {
    name: 'Flashsale',
    prepare: (_shop, { name, stock }, signal) => openSale(running, { name, stock, openForMs: OPEN_FOR_MS }, signal),
    tokens: async (_shop, { buyers }) => (await freshTokens(running, buyers)).trim().split('\n'),
    buy: ({ name }, token) => ({
      method: 'POST',
      path: `/api/v1/sales/${name}/purchases`,
      headers: { authorization: `Bearer ${token}`, 'idempotency-key': name, 'content-type': 'application/json' },
      body: JSON.stringify({ sku: SKU, quantity: 1 }),
    }),
    outcome: (status, body) => outcomeOf(status, body),
    // Until every purchase is paid and in the ledger: that work counts as well.
    sold: (_shop, { name }, signal) => untilSettled(running, name, signal),
  };
}

function outcomeOf(status: number, body: string): Outcome {
  if (status === 202) return 'bought';
  if (AGAIN.includes(status) || body.includes('"purchase_in_flight"')) return 'again';
  return status === 409 && body.includes('"sold_out"') ? 'turnedAway' : 'failed';
}
