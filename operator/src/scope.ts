/** What one pass of the loop over one sale works on. */
import type {
  ExpirySpread,
  HotPages,
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
import type { Clock } from '@flashsale/kube/clock';
import type { ClockWatch } from './clock-watch.ts';
import type { Demands } from './demands.ts';
import { DrainWatch } from './drained.ts';
import type { KnownSales } from './known-sales.ts';
import { newPageMemory, type FoundPages, type PageMemory } from './pages.ts';
import type { Registry } from './registry.ts';
import type { SaleResource, SaleResources } from './resources.ts';
import type { SaleStatus } from './status.ts';

export interface OperatorDeps {
  readonly resources: SaleResources;
  readonly store: SaleStore;
  readonly signals: Pick<Signals, 'broadcast'>;
  readonly log: PurchaseLog;
  readonly ledger: Ledger;
  readonly workloads: Workloads;
  readonly pages: HotPages;
  /** When the pages of all sales expire. */
  readonly expiries: ExpirySpread;
  readonly demands: Demands;
  readonly known: KnownSales;
  readonly clock: ClockWatch;
  /** What passes are put off by. */
  readonly timers: Clock;
  /** Aborts when the process drains: passes under way end soon, and none begins. */
  readonly stopping: AbortSignal;
  /** One line for people; `fields` for machines. */
  readonly note: (fields: Record<string, unknown>, message: string) => void;
}

/** What a pass works with. */
export interface PassDeps extends OperatorDeps {
  readonly registry: Registry;
}

/** What the operator remembers of a sale between passes. Losing it costs time, never exactness. */
export interface SaleMemory {
  /** The status as it was last read or written. */
  status: SaleStatus | undefined;
  /** JSON of the stock last broadcast. */
  broadcast: string;
  /** Targets that have wanted fewer replicas since (Unix ms). */
  readonly scaleDownSince: Map<string, number>;
  /** Passes in a row in which the ledger had more sold than Redis. */
  behind: number;
  /** Passes in a row in which Redis' counters did not add up. */
  unbalanced: number;
  /** Why the gate stays shut until stock was rebuilt; undefined where it need not be. */
  repair: string | undefined;
  /** Where nobody was found to have bought under this sale's name. */
  nameIsFree: 'unknown' | 'by ledger' | 'by ledger and log';
  readonly pages: PageMemory;
  drain: DrainWatch;
  /** True: after the drain, log and Redis knew the same open purchases. */
  allEnded: boolean;
  /** Proofs taken that did not hold. */
  failedProofs: number;
  /** What could not be done in the last pass, to tell of it once. */
  trouble: string;
}

export const newMemory = (): SaleMemory => ({
  status: undefined,
  broadcast: '',
  scaleDownSince: new Map(),
  behind: 0,
  unbalanced: 0,
  repair: undefined,
  nameIsFree: 'unknown',
  pages: newPageMemory(),
  drain: new DrainWatch(),
  allEnded: false,
  failedProofs: 0,
  trouble: '',
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
  /** Why this sale must not start at all. */
  barred: SaleProblem | undefined;
  /** Unix ms by Redis TIME. */
  now: number;
  inspection: SaleInspection | undefined;
  totals: readonly LedgerTotals[] | undefined;
  /** Undefined where they were not looked at. */
  pages: FoundPages | undefined;
  /** What could not be done and does not keep the rest from being done. */
  trouble: string[];
}

export const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
