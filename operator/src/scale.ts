/** Workloads of a sale: scaled ahead of the opening, then by lag, then back to what was there before. */
import { withDeadline } from '@flashsale/platform/deadline';
import {
  isFinal,
  targetKey,
  type PartitionOffsets,
  type PurchaseLog,
  type Sale,
  type ScaleRule,
  type Workloads,
  type WorkloadState,
  type WorkloadTarget,
} from '@flashsale/sale';
import { lagReplicas } from './autoscaler/lag-replicas.ts';
import type { Demands } from './demands.ts';
import { measured, scaleUpAt } from './lead.ts';
import { textOf } from './scope.ts';
import type { SaleStatus, ScaleStatus } from './status.ts';

/** How many replicas a rule wants now. `ahead`: the warm number at least; `lag`: by lag; `before`: as it was found. */
export type ScaleMode = 'ahead' | 'lag' | 'before';

/** Replicas come down only after the lag has asked for fewer this long, so that a short pause costs no restart. */
const SCALE_DOWN_AFTER_MS = 30_000;
/** Kafka away must not hold a pass up: without a lag, workloads stay as they are. */
const LAG_MS = 2_000;

export interface ScaleDeps {
  readonly workloads: Workloads;
  readonly log: Pick<PurchaseLog, 'offsets'>;
  readonly demands: Demands;
}

/** Since when each target has wanted fewer replicas than it has (Unix ms). */
export type ScaleDownSince = Map<string, number>;

export interface ScaleContext {
  readonly sale: Pick<Sale, 'name' | 'namespace' | 'opensAt' | 'warm'>;
  readonly since: ScaleDownSince;
  /** Unix ms by Redis TIME. */
  readonly now: number;
}

export interface Scaled {
  readonly targets: readonly ScaleStatus[];
  /** What could not be done, one text a target; such a target keeps what was last known of it. */
  readonly trouble: readonly string[];
}

/**
 * Says again what a status says of workloads: how long they took, and how many a sale wanted that is at work. For an
 * operator that starts anew: else a sale that has ended and is passed first takes them from one that is open.
 */
export function recall(
  { accepted, phase, scale }: SaleStatus,
  { workloads, demands }: Pick<ScaleDeps, 'workloads' | 'demands'>,
): void {
  const isAtWork = phase !== 'Scheduled' && !isFinal(phase);
  for (const { target } of accepted?.scale ?? []) {
    const known = scale.find((status) => status.target === targetKey(target));
    if (!accepted || !known) continue;
    const id = workloads.id({ ...target, namespace: accepted.namespace });
    const { desired, before, readySeconds } = known;
    if (readySeconds !== undefined) demands.learn(id, accepted.name, readySeconds);
    if (isAtWork && !isUntouched(known)) demands.set(id, accepted.name, { replicas: desired, before });
  }
}

/** Brings every target of a sale to what `mode` wants and says what it found. */
export async function scaleTargets(
  rules: readonly ScaleRule[],
  mode: ScaleMode,
  earlier: readonly ScaleStatus[],
  deps: ScaleDeps,
  context: ScaleContext,
): Promise<Scaled> {
  const trouble: string[] = [];
  const targets = rules.map(async (rule): Promise<ScaleStatus[]> => {
    const target = targetKey(rule.target);
    const known = earlier.find((status) => status.target === target);
    try {
      return [await scaleTarget(rule, mode, known, deps, context)];
    } catch (error) {
      trouble.push(`${target} cannot be scaled: ${textOf(error)}`);
      return known ? [known] : [];
    }
  });
  return { targets: (await Promise.all(targets)).flat(), trouble };
}

/** What one rule does to its workload in one pass. */
interface Turn {
  readonly rule: ScaleRule;
  readonly mode: ScaleMode;
  readonly known: ScaleStatus | undefined;
  readonly at: WorkloadTarget;
  readonly id: string;
}

async function scaleTarget(
  rule: ScaleRule,
  mode: ScaleMode,
  known: ScaleStatus | undefined,
  deps: ScaleDeps,
  context: ScaleContext,
): Promise<ScaleStatus> {
  const { sale } = context;
  const { workloads, demands } = deps;
  const at: WorkloadTarget = { ...rule.target, namespace: sale.namespace };
  const id = workloads.id(at);
  if (known?.readySeconds !== undefined) demands.learn(id, sale.name, known.readySeconds);
  const found = await workloads.get(at);
  const target = targetKey(rule.target);
  if (!found) return { target, lag: 0, desired: 0, ready: 0, before: known?.before ?? 0, missing: true };
  const idle = idleStatus(mode, known, found, demands.readySeconds(id), context);
  if (!idle) return { target, ...(await drive({ rule, mode, known, at, id }, found, deps, context)) };
  demands.drop(id, sale.name);
  return { target, ...idle, before: demands.before(id) ?? found.desired };
}

/** Says what this sale wants, and brings the workload to what the sales want together. */
async function drive(
  { rule, mode, known, at, id }: Turn,
  found: WorkloadState,
  { workloads, demands, log }: ScaleDeps,
  context: ScaleContext,
): Promise<Omit<ScaleStatus, 'target'>> {
  const before = beforeOf(known, demands.before(id), found.desired);
  let lag = 0;
  if (mode === 'before') {
    demands.drop(id, context.sale.name);
  } else {
    const seen = byLag(rule, await offsetsOf(rule, log), found.desired);
    const replicas = wantedOf(rule, mode, seen?.replicas ?? found.desired, found.desired, context);
    demands.set(id, context.sale.name, { replicas, before });
    lag = seen ? seen.lag : lagOf(known);
  }
  const desired = demands.most(id) ?? before;
  if (desired !== found.desired) await workloads.scale(at, desired);
  const seen = { ...found, asked: desired, ahead: mode === 'ahead' };
  return { lag, desired, ready: found.ready, before, ...measured(known, seen, context.now) };
}

/** What is said of a workload that this sale does not scale: an autoscaler's, or one that is not due yet. */
function idleStatus(
  mode: ScaleMode,
  known: ScaleStatus | undefined,
  { desired, ready, heldBy }: WorkloadState,
  readySeconds: number | undefined,
  { sale, now }: ScaleContext,
): Omit<ScaleStatus, 'target' | 'before'> | undefined {
  const learned = known?.readySeconds === undefined ? {} : { readySeconds: known.readySeconds };
  const status = { lag: 0, desired, ready, ...learned };
  if (heldBy !== undefined) return { ...status, heldBy };
  if (!isUntouched(known) || mode === 'lag') return undefined;
  // Never scaled for this sale: there is nothing to bring back.
  if (mode === 'before') return status;
  const due = scaleUpAt({ opensAt: sale.opensAt, leadTimeMs: sale.warm.leadTimeMs }, readySeconds);
  return now < due ? { ...status, scaleUpAt: new Date(due).toISOString() } : undefined;
}

/** Not scaled for this sale yet, as far as its status knows. */
function isUntouched(known: ScaleStatus | undefined): boolean {
  return known === undefined || known.missing === true || (known.scaleUpAt ?? known.heldBy) !== undefined;
}

/** What this sale found at first, or another one before it scaled the workload. One that was missing had nothing. */
function beforeOf(known: ScaleStatus | undefined, others: number | undefined, current: number): number {
  if (known && !isUntouched(known)) return known.before;
  return others ?? current;
}

const lagOf = (known: ScaleStatus | undefined): number => known?.lag ?? 0;

/** Undefined where the log cannot be read in time. */
async function offsetsOf({ lag }: ScaleRule, log: ScaleDeps['log']): Promise<PartitionOffsets[] | undefined> {
  return withDeadline('reading the lag', LAG_MS, log.offsets(lag.topic, lag.group)).catch(() => undefined);
}

function wantedOf(
  rule: ScaleRule,
  mode: 'ahead' | 'lag',
  byLag: number,
  current: number,
  context: ScaleContext,
): number {
  if (mode === 'lag') return steady(byLag, current, targetKey(rule.target), context);
  context.since.delete(targetKey(rule.target));
  return Math.max(rule.warm, byLag);
}

function byLag(
  rule: ScaleRule,
  offsets: readonly PartitionOffsets[] | undefined,
  current: number,
): { lag: number; replicas: number } | undefined {
  if (!offsets) return undefined;
  const answer = lagReplicas({
    id: rule.target.name,
    mode: 'drain',
    partitions: offsets.map(({ committed, end, start }) => ({ committed, latest: end, start })),
    // Our groups read a topic from its start.
    options: { lagThreshold: rule.lag.perReplica, offsetResetPolicy: 'earliest' },
    currentReplicas: current,
    minReplicas: rule.min,
    maxReplicas: rule.max,
  });
  return { lag: answer.metric, replicas: answer.replicas };
}

/** Up at once, down only when fewer were wanted for a while. */
function steady(wanted: number, current: number, key: string, { since, now }: ScaleContext): number {
  if (wanted >= current) {
    since.delete(key);
    return wanted;
  }
  const first = since.get(key) ?? now;
  since.set(key, first);
  return now - first >= SCALE_DOWN_AFTER_MS ? wanted : current;
}
