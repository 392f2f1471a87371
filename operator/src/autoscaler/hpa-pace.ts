/**
 * How fast the HorizontalPodAutoscaler follows its metric: stabilisation windows, then policies, as a pure function.
 * Source: kubernetes v1.34.4 pkg/controller/podautoscaler/horizontal.go; the names of its functions are given below.
 */
import type { HpaPace, HpaRules } from './hpa-behavior.ts';
import { clamp, sum } from './lag.ts';

type Change = HpaPace['scaled'][number];

export interface HpaPass {
  /** Above 0: a target at 0 is not the HPA's. */
  readonly current: number;
  readonly min: number;
  readonly max: number;
  /** What the metric asks for, tolerance included. */
  readonly desired: number;
}

/** The replicas after one pass (reconcileAutoscaler, convertDesiredReplicasWithBehaviorRate). */
export function pacedReplicas(pass: HpaPass, pace: HpaPace): number {
  const { current, min, max } = pass;
  // Outside of its bounds the target is put on the nearer one at once: no metric is read, no window, no policy.
  if (current !== clamp(current, min, max)) return clamp(current, min, max);
  const wanted = stabilised(pass, pace);
  const changes = remembered(pace);
  if (wanted > current) return Math.min(wanted, max, Math.max(current, highest(current, changes, pace.up)));
  if (wanted < current) return Math.max(wanted, min, Math.min(current, lowest(current, changes, pace.down)));
  return current;
}

/** Up to the lowest and down to the highest recommendation of the window (stabilizeRecommendationWithBehaviors). */
function stabilised({ current, desired }: HpaPass, { up, down, recommendations }: HpaPace): number {
  // A controller that knows nothing of the target begins with its size (recordInitialRecommendation).
  const past = recommendations.length > 0 ? recommendations : [{ secondsAgo: 0, replicas: current }];
  const within = (seconds: number) =>
    past.filter(({ secondsAgo }) => secondsAgo < seconds).map(({ replicas }) => replicas);
  const low = Math.min(desired, ...within(up.stabilizationWindowSeconds));
  const high = Math.max(desired, ...within(down.stabilizationWindowSeconds));
  return Math.min(Math.max(current, low), high);
}

/** calculateScaleUpLimitWithScalingRules */
function highest(current: number, changes: readonly Change[], { selectPolicy, policies }: HpaRules): number {
  if (selectPolicy === 'Disabled') return current;
  const proposed = policies.map(({ type, value, periodSeconds }) => {
    const start = atStart(current, changes, periodSeconds);
    return type === 'Pods' ? start + value : Math.ceil(start * (1 + value / 100));
  });
  return selectPolicy === 'Min' ? Math.min(...proposed) : Math.max(...proposed);
}

/** calculateScaleDownLimitWithBehaviors; `Min` is the smallest change, so the most replicas. */
function lowest(current: number, changes: readonly Change[], { selectPolicy, policies }: HpaRules): number {
  if (selectPolicy === 'Disabled') return current;
  const proposed = policies.map(({ type, value, periodSeconds }) => {
    const start = atStart(current, changes, periodSeconds);
    return type === 'Pods' ? start - value : Math.trunc(start * (1 - value / 100));
  });
  return selectPolicy === 'Min' ? Math.max(...proposed) : Math.min(...proposed);
}

/** Replicas when the period began; a change exactly that old is outside of it (getReplicasChangePerPeriod). */
function atStart(current: number, changes: readonly Change[], periodSeconds: number): number {
  return current - sum(changes.filter(({ secondsAgo }) => secondsAgo < periodSeconds).map(({ change }) => change));
}

function remembered({ scaled, up, down }: HpaPace): Change[] {
  const oldestFirst = scaled.toSorted((a, b) => b.secondsAgo - a.secondsAgo);
  const [ups, downs] = [oldestFirst.filter(({ change }) => change > 0), oldestFirst.filter(({ change }) => change < 0)];
  return [...kept(ups, up), ...kept(downs, down)];
}

/**
 * What the controller has not forgotten: a new change takes the place of one that is older than the longest period of
 * its own direction, although the other direction may have a longer one (storeScaleEvent, markScaleEventsOutdated).
 */
function kept(oldestFirst: readonly Change[], { policies }: HpaRules): Change[] {
  const longest = Math.max(...policies.map(({ periodSeconds }) => periodSeconds));
  const places: Change[] = [];
  for (const change of oldestFirst) {
    const outdated = places.findLastIndex(({ secondsAgo }) => secondsAgo - change.secondsAgo > longest);
    places[outdated === -1 ? places.length : outdated] = change;
  }
  return places;
}
