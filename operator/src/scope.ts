/** What one pass of the loop over one sale works on. */
import type {
  Ledger,
  LedgerTotals,
  PurchaseLog,
  Sale,
  SaleInspection,
  SaleProblem,
  SaleStore,
  Signals,
  Workloads,
} from '@flashsale/sale';
import type { SaleResource, SaleResources } from './resources.ts';
import type { SaleStatus } from './status.ts';

export interface OperatorDeps {
  readonly resources: SaleResources;
  readonly store: SaleStore;
  readonly signals: Pick<Signals, 'broadcast'>;
  readonly log: PurchaseLog;
  readonly ledger: Ledger;
  readonly workloads: Workloads;
  /** One line for people; `fields` for machines. */
  readonly note: (fields: Record<string, unknown>, message: string) => void;
}

/** What the operator remembers of a sale between passes. Losing it costs time, never exactness. */
export interface SaleMemory {
  /** JSON of what was last published, to publish only changes. */
  published: string;
  /** JSON of the stock last broadcast. */
  broadcast: string;
  /** Targets that have wanted fewer replicas since (Unix ms). */
  readonly scaleDownSince: Map<string, number>;
  /** Passes in a row in which the ledger had more sold than Redis. */
  behind: number;
  /** Passes in a row in which Redis' counters did not add up. */
  unbalanced: number;
}

export const newMemory = (): SaleMemory => ({
  published: '',
  broadcast: '',
  scaleDownSince: new Map(),
  behind: 0,
  unbalanced: 0,
});

export interface Scope {
  readonly resource: SaleResource;
  readonly memory: SaleMemory;
  /** Grows over the pass; written at its end, whatever happened. */
  status: SaleStatus;
  /** The sale that runs: the last accepted spec. */
  sale: Sale;
  /** Problems of the document as it is now. */
  problems: readonly SaleProblem[];
  /** Unix ms by Redis TIME. */
  now: number;
  inspection: SaleInspection | undefined;
  totals: readonly LedgerTotals[] | undefined;
}
