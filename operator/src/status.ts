/** The status of a FlashSale, as its readers see it (contract: phase, conditions, items, scale, proof). */
import type { Phase, Sale, StockLevel } from '@flashsale/sale';
import type { Proof } from './proof.ts';

/** A condition by the Kubernetes API conventions. */
export interface StatusCondition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
  /** RFC 3339; moves only when `status` changes. */
  readonly lastTransitionTime: string;
  readonly observedGeneration: number;
}

export interface ScaleStatus {
  readonly target: string;
  readonly lag: number;
  readonly desired: number;
  readonly ready: number;
  /** Replicas found before the sale scaled them; they come back after it. */
  readonly before: number;
  /** There is no such workload. */
  readonly missing?: true;
}

export interface SaleStatus {
  readonly phase: Phase;
  /** Grows by one whenever the document's text changes. */
  readonly observedGeneration: number;
  /** Digest of the text `observedGeneration` stands for. */
  readonly observedDigest: string;
  /** The epoch of the sale's stock; written here before it is used, so that it never repeats. 0: never warmed. */
  readonly epoch: number;
  readonly message: string;
  readonly conditions: readonly StatusCondition[];
  readonly items: readonly ({ readonly sku: string } & StockLevel)[];
  readonly scale: readonly ScaleStatus[];
  /** The last spec that was accepted: what runs, even where the document was edited into something invalid. */
  readonly accepted?: Sale;
  /** What the scripts in Redis were last told of window, gate and stock; see `gate.ts`. Empty: shut, or not told. */
  readonly gate: string;
  readonly proof?: Proof;
}

export const newStatus: SaleStatus = {
  phase: 'Scheduled',
  observedGeneration: 0,
  observedDigest: '',
  epoch: 0,
  message: '',
  conditions: [],
  items: [],
  scale: [],
  gate: '',
};

/** Sets a condition; its transition time moves only with its status. */
export function withCondition(
  conditions: readonly StatusCondition[],
  next: Omit<StatusCondition, 'lastTransitionTime'>,
  now: number,
): StatusCondition[] {
  const old = conditions.find((condition) => condition.type === next.type);
  const lastTransitionTime = old?.status === next.status ? old.lastTransitionTime : new Date(now).toISOString();
  const set = { ...next, lastTransitionTime };
  return old ? conditions.map((condition) => (condition === old ? set : condition)) : [...conditions, set];
}
