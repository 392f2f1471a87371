/** FlashSales as Argo CD gets to see them, with statuses that the operator's own code has made of facts. */
import { nextPhase, type Sale, type SaleFacts, type StockLevel } from '@flashsale/sale';
import { item, SPEC, workload, type Spec } from '../api/documents.fixture.ts';
import { parseFlashSale, specSchema } from '../api/flashsale.ts';
import { writeFacts } from '../facts.ts';
import type { Scope } from '../scope.ts';
import { newStatus, withSummary, type SaleStatus } from '../status.ts';

export interface LiveSale {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string; readonly generation: number };
  readonly spec: unknown;
  readonly status?: Partial<SaleStatus> | Readonly<Record<string, unknown>>;
}

/** Far off, so that by Argo CD's clock it is not time yet. */
export const OPENS_AT = '2099-12-01T10:00:00Z';
const CLOSES_AT = '2099-12-01T10:30:00Z';
export const OPENING = Date.parse(OPENS_AT);
export const MINUTE = 60_000;

/** The members of `spec` are set over a sale of 15 units that scales one workload. */
export function live(spec: Spec = {}, generation = 3): LiveSale {
  const items = [item({ sku: 'shoe' }), item({ sku: 'hat', stock: 5, perBuyer: 2 })];
  const given = { ...SPEC, opensAt: OPENS_AT, closesAt: CLOSES_AT, items, scale: [workload()], ...spec };
  return {
    apiVersion: 'flashsale.dev/v1',
    kind: 'FlashSale',
    metadata: { name: 'drop', namespace: 'shop', generation },
    spec: specSchema.parse(given),
  };
}

export function saleOf(object: LiveSale): Sale {
  const { sale, problems } = parseFlashSale(JSON.stringify(object));
  if (!sale) throw new Error(JSON.stringify(problems));
  return sale;
}

const full = ({ items }: Sale): Map<string, StockLevel> =>
  new Map(items.map(({ sku, stock }) => [sku, { stock, free: stock, held: 0, sold: 0 }]));

/** Everything ready, nothing sold; `change` says what is otherwise. */
export function factsOf(sale: Sale, change: Partial<SaleFacts> = {}): SaleFacts {
  return {
    sale,
    phase: 'Scheduled',
    problems: [],
    deleting: false,
    items: full(sale),
    allocated: new Map(sale.items.map(({ sku, stock }) => [sku, stock])),
    // More than any sale asks for.
    cachedPages: 100_000,
    readyReplicas: new Map([['Deployment/payments', 20]]),
    outbox: 0,
    lag: 0,
    proof: undefined,
    ...change,
  };
}

/** What the operator writes where it finds `facts` at `now` (Unix ms); undefined `sale`: none was ever accepted. */
export function statusOf(facts: SaleFacts, now: number, before: Partial<SaleStatus> = {}): SaleStatus {
  const { sale } = facts;
  const status = { ...newStatus, phase: facts.phase, observedGeneration: 3, epoch: 1, accepted: sale, ...before };
  const scope = { status, now, trouble: [] } as unknown as Scope;
  writeFacts(scope, facts, nextPhase({ ...facts, problems: [] }, now), []);
  return withSummary(scope.status, sale);
}
