/** What the tests of both modes share: how a worked case is written down and asked. */
import { lagReplicas } from './lag-replicas.ts';
import type { LagAnswer, LagOptions, LagPartition } from './lag-replicas.ts';

/** One partition a number, each with that lag. */
export const spread = (...lags: number[]): LagPartition[] => lags.map((lag) => ({ committed: 100, latest: 100 + lag }));

/** `partitions` partitions, all of the lag in the last one. */
export const piled = (partitions: number, lag: number): LagPartition[] =>
  spread(...Array<number>(partitions - 1).fill(0), lag);

export interface Worked {
  readonly why: string;
  readonly partitions: readonly LagPartition[];
  readonly options?: LagOptions;
  /** current, min, max; by default 1, 0, 100. */
  readonly replicas?: readonly [number, number, number];
  readonly metric: number;
  readonly active: boolean;
  readonly want: number;
}

export function ask(mode: 'keda' | 'drain', { partitions, options = {}, replicas = [1, 0, 100] }: Worked): LagAnswer {
  const [currentReplicas, minReplicas, maxReplicas] = replicas;
  return lagReplicas({ id: 'a', mode, partitions, options, currentReplicas, minReplicas, maxReplicas });
}
