/**
 * One pass of KEDA's Kafka scaler and of the HorizontalPodAutoscaler behind it, rule by rule, faults included.
 * Sources: kedacore/keda pkg/scalers/kafka_scaler.go (getLagForPartition, getTotalLag),
 * pkg/scaling/executor/scale_scaledobjects.go, and kubernetes pkg/controller/podautoscaler/replica_calculator.go
 * (GetExternalPerPodMetricReplicas). docs/autoscaler.md explains each rule.
 */
import { clamp, lagWithoutOffset, NO_OFFSET, nextDivisor, standsStill, sum } from './lag.ts';
import type { LagAnswer, LagCase, LagPartition, LagSettings } from './lag.ts';

/** The HPA leaves replicas alone while usage is within 10 % of the target. */
const TOLERANCE = 0.1;

/** A partition of the broker's answer; the others are never looked at, and not counted as partitions either. */
type Answered = LagPartition & { readonly latest: number };

export function kedaReplicas(question: LagCase, settings: LagSettings): LagAnswer {
  const partitions = question.partitions.filter(
    (partition): partition is Answered => typeof partition.latest === 'number',
  );
  const lags = partitions.map((partition) => scalingLag(partition, settings));
  const metric = limit(sum(lags), lags, settings);
  const activation = sum(partitions.map((partition) => fullLag(partition, settings)));
  const active = activation > settings.activationLagThreshold;
  return { id: question.id, metric, active, replicas: replicas(question, metric, active, settings.lagThreshold) };
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

function replicas(question: LagCase, metric: number, active: boolean, threshold: number): number {
  const { currentReplicas: current, minReplicas: min, maxReplicas: max } = question;
  const least = Math.max(min, 1);
  if (!active && min === 0) return 0;
  // From nothing KEDA itself starts the least number; the HPA rests until there are replicas.
  if (current === 0) return Math.min(least, max);
  const usage = metric / (threshold * current);
  const steady = usage >= 1 - TOLERANCE && usage <= 1 + TOLERANCE;
  return clamp(steady ? current : Math.ceil(metric / threshold), least, max);
}
