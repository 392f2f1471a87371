/** The ground of a load run on the running platform: a sale of its own, tokens of fresh buyers, readings, the proof. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { takeBuyers, urlOf } from '@flashsale/local/commands/crowd';
import { REPO } from '@flashsale/local/paths';
import type { RunningPlatform } from '@flashsale/local/supervisor/running';
import { internalClient } from '@flashsale/platform/http';
import type { Reading } from './load-run.ts';
import { useOf } from './process-tree.ts';

export const SKU = 'load-item';
const OPENS_IN_MS = 2_000;
const OPEN_WITHIN_MS = 60_000;
const APPLIED_WITHIN_MS = 30_000;
const POLL_MS = 200;
const TOKENS_MS = 120_000;
const TOKENS_AT_ONCE = 10_000;
/** After the last buyer is followed, purchases of buyers who were not may still be under way. */
const SETTLED_WITHIN_MS = 90_000;
const READ_EVERY_MS = 500;
const READ_DEADLINE_MS = 2_000;

interface Totals {
  readonly items: readonly { readonly sku: string; readonly allocated: number; readonly sold: number }[];
}

interface SaleView {
  readonly phase: string;
  readonly items: readonly { readonly sku: string; readonly remaining: number }[];
}

/** Applies a sale of one item, one unit a buyer, and waits until it is open. It closes by itself after `openForMs`. */
export async function openSale(
  running: RunningPlatform,
  { name, stock, openForMs }: { name: string; stock: number; openForMs: number },
  signal: AbortSignal,
): Promise<void> {
  const at = (ms: number): string => new Date(Date.now() + ms).toISOString();
  const document = {
    apiVersion: 'flashsale.dev/v1',
    kind: 'FlashSale',
    metadata: { name, namespace: 'load' },
    spec: {
      opensAt: at(OPENS_IN_MS),
      closesAt: at(OPENS_IN_MS + openForMs),
      items: [{ sku: SKU, title: 'Load test', stock, perBuyer: 1, price: { amount: '9.00', currency: 'EUR' } }],
      payment: { holdFor: '2m' },
      warm: { leadTime: '10m', shards: 4 },
    },
  };
  await apply(JSON.stringify(document));
  const until = Date.now() + OPEN_WITHIN_MS;
  while ((await viewOf(running, name))?.phase !== 'Open') {
    if (Date.now() > until)
      throw new Error(`the sale ${name} is not open after ${OPEN_WITHIN_MS / 1000} s: see operator.log`);
    await pause(POLL_MS, undefined, { signal });
  }
}

/** As a user does, by `flashsale apply -f -`. Throws where it is refused; its words are on stderr then. */
async function apply(document: string): Promise<void> {
  const child = spawn(process.execPath, [join(REPO, 'packages/local/src/main.ts'), 'apply', '-f', '-'], {
    stdio: ['pipe', 'ignore', 'inherit'],
    timeout: APPLIED_WITHIN_MS,
  });
  child.stdin.end(document);
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`\`flashsale apply\` ended with ${code ?? 'a signal'}`);
}

/** Sixty products to look at: three list pages, and something to find. They stay. */
export async function putProducts(running: RunningPlatform): Promise<void> {
  const products = Array.from({ length: 60 }, (_, i) => ({
    id: `load-product-${i}`,
    title: `${['Air', 'Zero', 'Trail'][i % 3] ?? ''} shoe ${i}`,
    description: 'Of a load test.',
    price: { amount: '19.00', currency: 'EUR' },
  }));
  await internalClient(urlOf(running, 'CATALOG_URL')).text('PUT', '/internal/products', { products });
}

/** Access tokens of `count` test buyers that nobody used before, one a line; they are valid for two hours. */
export async function freshTokens(running: RunningPlatform, count: number): Promise<string> {
  const from = await takeBuyers(running, count);
  const identity = internalClient(urlOf(running, 'IDENTITY_URL'), TOKENS_MS);
  const pieces: string[] = [];
  // Signing takes a millisecond of CPU each: in one request, many would outlast any deadline.
  for (let done = 0; done < count; done += TOKENS_AT_ONCE) {
    const piece = { count: Math.min(TOKENS_AT_ONCE, count - done), from: from + done };
    pieces.push(await identity.text('POST', '/internal/test-tokens', piece));
  }
  return pieces.join('');
}

/**
 * Waits until no purchase is under way: what the ledger has sold and what is free make the stock. Resolves to what is
 * sold by the ledger, then or after the longest wait.
 */
export async function untilSettled(running: RunningPlatform, sale: string, signal: AbortSignal): Promise<number> {
  const orders = internalClient(urlOf(running, 'ORDERS_URL'));
  const until = Date.now() + SETTLED_WITHIN_MS;
  for (;;) {
    const { items } = await orders.json<Totals>('GET', `/internal/sales/${sale}/totals`);
    const totals = items.find(({ sku }) => sku === SKU);
    const free = (await viewOf(running, sale))?.items.find(({ sku }) => sku === SKU)?.remaining;
    const isSettled = totals !== undefined && free !== undefined && totals.sold + free === totals.allocated;
    if (isSettled || Date.now() > until) return totals?.sold ?? 0;
    await pause(POLL_MS, undefined, { signal });
  }
}

/** Reads stock, CPU and memory of the platform until the signal is aborted. */
export async function watch(
  running: RunningPlatform,
  sale: string,
  readings: Reading[],
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const next = pause(READ_EVERY_MS, undefined, { signal }).catch(() => undefined);
    const view = await viewOf(running, sale);
    const { cpuMs, memoryMb } = useOf([running.pid]);
    const remaining = view?.items.find(({ sku }) => sku === SKU)?.remaining;
    readings.push({ at: Date.now(), remaining, cpuMs, memoryMb });
    await next;
  }
}

/** Undefined where the sale is not known yet, or does not answer in time. */
async function viewOf(running: RunningPlatform, sale: string): Promise<SaleView | undefined> {
  const edge = internalClient(urlOf(running, 'EDGE_URL'), READ_DEADLINE_MS);
  return edge.json<SaleView>('GET', `/api/v1/sales/${sale}`).catch(() => undefined);
}
