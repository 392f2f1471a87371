/** What the autoscaler is asked and what it answers (the `lag-replicas` row of the contract), and the lag of one partition. */

import type { HpaBehavior, HpaHistory } from './hpa-behavior.ts';

/** Offsets of one partition, as the broker and the group's coordinator gave them. */
export interface LagPartition {
  /** Next record the group will read; -1 where it never committed. */
  readonly committed: number;
  /** Next record that will be written; null or absent where the broker's answer lacked the partition. */
  readonly latest?: number | null;
  /** First record that retention has left. */
  readonly start?: number;
  /** `committed` at the pass before. */
  readonly previousCommitted?: number;
}

/** Names, meanings and defaults are KEDA's; the last two are ours. */
export interface LagOptions {
  /** Records of lag one replica is meant to have. Default 10. */
  readonly lagThreshold?: number;
  /** Active above this many records of lag; decides between no replica and some. Default 0. */
  readonly activationLagThreshold?: number;
  /** Where a group that never committed starts to read. Default `latest`. */
  readonly offsetResetPolicy?: 'latest' | 'earliest';
  /** True: more replicas than partitions; `drain` never does that, an idle consumer drains nothing. Default false. */
  readonly allowIdleConsumers?: boolean;
  /** True: no more replicas than partitions that have lag. Default false. */
  readonly limitToPartitionsWithLag?: boolean;
  /** True: a partition whose committed offset stands still does not ask for replicas. Default false. */
  readonly excludePersistentLag?: boolean;
  /** True: replicas are a divisor of the number of partitions. Default false. */
  readonly ensureEvenDistributionOfPartitions?: boolean;
  /** True: a partition without a committed offset counts 0, not 1 (latest) or all its records (earliest). Default false. */
  readonly scaleToZeroOnInvalidOffset?: boolean;
  /** `drain`: records a second that one replica was measured to process. */
  readonly ratePerReplica?: number;
  /** `drain` with `ratePerReplica`: seconds in which the lag should be gone. Default 30. */
  readonly targetSeconds?: number;
}

export interface LagCase {
  readonly id: string;
  /** Default `drain`. */
  readonly mode?: 'keda' | 'drain';
  readonly partitions: readonly LagPartition[];
  readonly options?: LagOptions;
  readonly currentReplicas: number;
  readonly minReplicas: number;
  readonly maxReplicas: number;
  /** `keda`: the HPA's windows and policies too. Default: none, one pass goes all the way. */
  readonly behavior?: HpaBehavior | null;
  /** What the HPA's controller remembers; used only with `behavior`. */
  readonly history?: HpaHistory | null;
}

export interface LagAnswer {
  readonly id: string;
  /** Records of lag that the number of replicas follows from. */
  readonly metric: number;
  /** Whether there is work: with `minReplicas` 0, the difference between no replica and at least one. */
  readonly active: boolean;
  readonly replicas: number;
}

export type LagSettings = Required<Omit<LagOptions, 'ratePerReplica'>> & Pick<LagOptions, 'ratePerReplica'>;

const DEFAULTS: LagSettings = {
  lagThreshold: 10,
  activationLagThreshold: 0,
  offsetResetPolicy: 'latest',
  allowIdleConsumers: false,
  limitToPartitionsWithLag: false,
  excludePersistentLag: false,
  ensureEvenDistributionOfPartitions: false,
  scaleToZeroOnInvalidOffset: false,
  targetSeconds: 30,
};

/** The options with their defaults. Throws RangeError where no number of replicas could follow from them. */
export function settingsOf({ id, options = {} }: LagCase): LagSettings {
  // The cases come as JSON, where null is how many writers say "absent".
  const given = Object.entries(options as Record<string, unknown>).filter(([, value]) => value !== null);
  const settings: LagSettings = { ...DEFAULTS, ...(Object.fromEntries(given) as LagOptions) };
  for (const name of ['lagThreshold', 'ratePerReplica', 'targetSeconds'] as const) {
    const value = settings[name];
    if (value !== undefined && !(value > 0)) throw new RangeError(`case ${id}: ${name} must be above 0, not ${value}`);
  }
  if (!(settings.activationLagThreshold >= 0)) {
    throw new RangeError(`case ${id}: activationLagThreshold must be 0 or more`);
  }
  return settings;
}

export const NO_OFFSET = -1;

/** What a partition counts whose group never committed: nothing to subtract from, so by the reset policy. */
export function lagWithoutOffset(all: number, settings: LagSettings): number {
  if (settings.scaleToZeroOnInvalidOffset) return 0;
  // 1 under `latest`: one consumer has to run and commit before there is a lag to speak of.
  return settings.offsetResetPolicy === 'latest' ? 1 : all;
}

/** Whether the group read nothing of the partition since the pass before. */
export function standsStill({ committed, previousCommitted }: LagPartition): boolean {
  return committed !== NO_OFFSET && committed === previousCommitted;
}

/** The smallest divisor of `partitions` with which `fits`; `partitions` where none does. */
export function nextDivisor(partitions: number, fits: (divisor: number) => boolean): number {
  for (let divisor = 1; divisor < partitions; divisor++) {
    if (partitions % divisor === 0 && fits(divisor)) return divisor;
  }
  return partitions;
}

export function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}

export const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
