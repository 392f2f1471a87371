/** What the parts of the sale store's contract share: sales, purchases, and the check that nothing is lost or doubled. */
import assert from 'node:assert/strict';
import type { ReserveRequest, SaleStore } from './ports.ts';
import { purchaseId } from './purchase-id.ts';
import { conserves } from './purchase.ts';
import type { Hold, PublishedSale, PurchaseStatus, SaleItem, ShardItem, StockLevel } from './types.ts';

export interface StoreUnderTest {
  readonly store: SaleStore;
  /** The names of the keys that hold the sale's data; empty where the store cannot lose single keys. */
  readonly keysOf: (sale: string) => Promise<string[]>;
  /** Loses one of them, as a failing server would. */
  readonly lose: (key: string) => Promise<void>;
}

export type Declare = (title: string, body: (store: SaleStore, under: StoreUnderTest) => Promise<void>) => void;

export const SHOE: SaleItem = {
  sku: 'shoe',
  title: 'Shoe',
  stock: 10,
  perBuyer: 1,
  price: { minor: 12_900, currency: 'EUR' },
};
export const HAT: SaleItem = {
  sku: 'hat',
  title: 'Hat',
  stock: 7,
  perBuyer: 3,
  price: { minor: 500, currency: 'EUR' },
};

let names = 0;
/** Sale names of this process do not collide with those of another run on the same server. */
export const freshName = (): string => `t${process.pid}-${Date.now().toString(36)}-${names++}`;

export async function warmSale(
  store: SaleStore,
  more: Partial<PublishedSale> & { shards?: number } = {},
): Promise<PublishedSale> {
  const now = await store.time();
  const { shards = 2, ...rest } = more;
  const sale: PublishedSale = {
    name: freshName(),
    namespace: 'shop',
    opensAt: now - 1_000,
    closesAt: now + 600_000,
    paused: false,
    notReady: 'Delay',
    items: [SHOE, HAT],
    holdForMs: 60_000,
    membersOnly: false,
    warm: { leadTimeMs: 0, shards, cache: { ttlMs: 1, jitter: 0, pages: 0 } },
    scale: [],
    epoch: 1,
    phase: 'Open',
    ...rest,
  };
  assert.equal(await store.warm(sale, sale.epoch), sale.epoch);
  return sale;
}

export const digest = (label: string): string =>
  label
    .replaceAll(/[^a-z0-9]/gi, '-')
    .padStart(22, '_')
    .slice(-22);
export const idOf = (sale: PublishedSale, shard: number, label: string): string =>
  purchaseId(sale.name, shard, digest(label));
export const itemAt = (sale: PublishedSale, shard = 0, sku = 'shoe'): ShardItem => ({ sale: sale.name, shard, sku });
export const label = (n: number): string => `p${n}`;

/** A purchase by a buyer with number `n`; a negative one: by a buyer without a number. */
export function ask(
  sale: PublishedSale,
  n: number,
  more: { id?: string; quantity?: number; shard?: number } = {},
): ReserveRequest {
  const buyer = n < 0 ? { id: `anon${-n}` } : { id: `buyer-${n}`, number: n };
  const id = idOf(sale, more.shard ?? 0, more.id ?? label(n));
  return { id, buyer, quantity: more.quantity ?? 1, correlationId: `c-${n}` };
}

export const codes = (answers: readonly { readonly code: string }[]): string[] => answers.map(({ code }) => code);

export async function levelOf(store: SaleStore, sale: PublishedSale, sku = 'shoe'): Promise<StockLevel> {
  const found = (await store.inspect(sale))?.items.get(sku);
  assert.ok(found, 'the sale is warm');
  return found;
}

export async function holdsOf(store: SaleStore, sale: PublishedSale): Promise<Hold[]> {
  const all: Hold[] = [];
  for await (const hold of store.holds(sale)) all.push(hold);
  return all.sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** What checkout does: reserve, and where the shard is empty, borrow and try again. */
export async function buy(
  store: SaleStore,
  sale: PublishedSale,
  at: ShardItem,
  request: ReserveRequest,
): Promise<string> {
  for (let tries = 0; tries < 50; tries++) {
    const [answer] = await store.reserve(sale, at, [request]);
    if (answer?.code !== 'shardEmpty') return answer?.code ?? 'none';
    const { moved } = await store.borrow(sale, at, request.quantity);
    if (moved === 0) return 'soldOut';
  }
  return 'gaveUp';
}

/** Counts units by scanning the holds, apart from any counter. */
export function unitsIn(holds: readonly Hold[], sku: string, statuses: readonly PurchaseStatus[]): number {
  return holds
    .filter((hold) => hold.sku === sku && statuses.includes(hold.status))
    .reduce((sum, { quantity }) => sum + quantity, 0);
}

export async function assertExact(store: SaleStore, sale: PublishedSale): Promise<void> {
  const holds = await holdsOf(store, sale);
  for (const { sku, stock } of sale.items) {
    const level = await levelOf(store, sale, sku);
    assert.ok(conserves(level), `${sku}: ${JSON.stringify(level)}`);
    const [held, sold] = [unitsIn(holds, sku, ['reserved']), unitsIn(holds, sku, ['paid'])];
    assert.deepEqual(level, { stock, held, sold, free: stock - held - sold });
  }
}
