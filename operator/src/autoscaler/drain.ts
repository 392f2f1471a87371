/**
 * Our own rule: as many replicas as drain the lag in time. Unlike KEDA with an HPA it counts only records that can
 * still be read, has no dead zone around the current number, and never rounds past the number of partitions.
 */
import { clamp, lagWithoutOffset, NO_OFFSET, nextDivisor, standsStill, sum } from './lag.ts';
import type { LagAnswer, LagCase, LagPartition, LagSettings } from './lag.ts';

export function drainReplicas(question: LagCase, settings: LagSettings): LagAnswer {
  const { partitions, minReplicas: min, maxReplicas: max } = question;
  const lags = partitions.map((partition) => scalingLag(partition, settings));
  const metric = sum(lags);
  const active = sum(partitions.map((partition) => readableLag(partition, settings))) > settings.activationLagThreshold;
  const least = active ? Math.max(min, 1) : min;
  const idle = !active && min === 0;
  const wanted = idle ? 0 : useful(Math.ceil(metric / perReplica(settings)), lags, settings);
  return { id: question.id, metric, active, replicas: clamp(wanted, least, max) };
}

/** Records that one replica may leave behind for the others. */
function perReplica({ ratePerReplica, targetSeconds, lagThreshold }: LagSettings): number {
  return ratePerReplica === undefined ? lagThreshold : ratePerReplica * targetSeconds;
}

/** Records that are still there to be read: retention may have passed the group, a new topic may be behind it. */
function readableLag({ committed, latest, start = 0 }: LagPartition, settings: LagSettings): number {
  if (typeof latest !== 'number') return 0;
  const all = Math.max(0, latest - start);
  if (committed === NO_OFFSET) return lagWithoutOffset(all, settings);
  return clamp(latest - committed, 0, all);
}

function scalingLag(partition: LagPartition, settings: LagSettings): number {
  return settings.excludePersistentLag && standsStill(partition) ? 0 : readableLag(partition, settings);
}

/** No more replicas than can have a partition to read; one without a partition would only rebalance the others. */
function useful(wanted: number, lags: readonly number[], settings: LagSettings): number {
  const busy = lags.filter((lag) => lag > 0).length;
  const most = settings.limitToPartitionsWithLag ? busy : lags.length;
  if (settings.ensureEvenDistributionOfPartitions && wanted > 0) {
    return Math.min(
      nextDivisor(lags.length, (divisor) => divisor >= wanted),
      most,
    );
  }
  return Math.min(wanted, most);
}
