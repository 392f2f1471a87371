/**
 * One pass of KEDA's Kafka scaler and of the HorizontalPodAutoscaler behind it, rule by rule, faults included.
 * Sources: kedacore/keda pkg/scalers/kafka_scaler.go (getLagForPartition, getTotalLag),
 * pkg/scaling/executor/scale_scaledobjects.go, and kubernetes pkg/controller/podautoscaler/replica_calculator.go
 * (GetExternalPerPodMetricReplicas); with a `behavior` also windows and policies (hpa-pace.ts). docs/autoscaler.md explains each rule.
 */
import { TOLERANCE } from './hpa-behavior.ts';
import type { HpaPace } from './hpa-behavior.ts';
import { pacedReplicas } from './hpa-pace.ts';
import { clamp, lagWithoutOffset, NO_OFFSET, nextDivisor, standsStill, sum } from './lag.ts';
import type { LagAnswer, LagCase, LagPartition, LagSettings } from './lag.ts';

/** A partition of the broker's answer; the others are never looked at, and not counted as partitions either. */
type Answered = LagPartition & { readonly latest: number };

export function kedaReplicas(question: LagCase, settings: LagSettings, pace?: HpaPace): LagAnswer {
  const partitions = question.partitions.filter(
    (partition): partition is Answered => typeof partition.latest === 'number',
  );
  const lags = partitions.map((partition) => scalingLag(partition, settings));
  const metric = limit(sum(lags), lags, settings);
  const activation = sum(partitions.map((partition) => fullLag(partition, settings)));
  const active = activation > settings.activationLagThreshold;
  return {
    id: question.id,
    metric,
    active,
    replicas: replicas(question, { metric, threshold: settings.lagThreshold, active }, pace),
  };
}

/** May be negative, where a topic was made anew below the group's offsets: KEDA subtracts and does not look. */
function fullLag({ committed, latest }: Answered, settings: LagSettings): number {
  return committed === NO_OFFSET ? lagWithoutOffset(latest, settings) : latest - committed;
}

function scalingLag(partition: Answered, settings: LagSettings): number {
  return settings.excludePersistentLag && standsStill(partition) ? 0 : fullLag(partition, settings);
}

function limit(total: number, lags: readonly number[], settings: LagSettings): number {
  const { lagThreshold: threshold } = settings;
  let metric = total;
  if (
    settings.allowIdleConsumers &&
    !settings.limitToPartitionsWithLag &&
    !settings.ensureEvenDistributionOfPartitions
  ) {
    return metric;
  }
  if (settings.ensureEvenDistributionOfPartitions) {
    metric = nextDivisor(lags.length, (divisor) => divisor * threshold >= total) * threshold;
  }
  const most = settings.limitToPartitionsWithLag ? lags.filter((lag) => lag > 0).length : lags.length;
  // Go divides integers: with threshold 10 and 4 partitions, lags 41 to 49 pass the cap, and the HPA rounds them up to 5.
  return Math.trunc(metric / threshold) > most ? most * threshold : metric;
}

interface Usage {
  readonly metric: number;
  readonly threshold: number;
  readonly active: boolean;
}

function replicas(question: LagCase, usage: Usage, pace: HpaPace | undefined): number {
  const { currentReplicas: current, minReplicas: min, maxReplicas: max } = question;
  const least = Math.max(min, 1);
  if (!usage.active && min === 0) return 0;
  // From nothing KEDA itself starts the least number; the HPA rests until there are replicas.
  if (current === 0) return Math.min(least, max);
  const desired = tolerated(usage, current, pace);
  return pace === undefined ? clamp(desired, least, max) : pacedReplicas({ current, min: least, max, desired }, pace);
}

function tolerated({ metric, threshold }: Usage, current: number, pace: HpaPace | undefined): number {
  const { up, down } = pace ?? { up: { tolerance: TOLERANCE }, down: { tolerance: TOLERANCE } };
  const ratio = metric / (threshold * current);
  const steady = ratio >= 1 - down.tolerance && ratio <= 1 + up.tolerance;
  return steady ? current : Math.ceil(metric / threshold);
}
