/** Workloads of a sale: scaled ahead of the opening, then by lag, then back to what was there before. */
import type { PartitionOffsets, PurchaseLog, ScaleRule, Workloads } from '@flashsale/sale';
import { lagReplicas } from './autoscaler/lag-replicas.ts';
import type { ScaleStatus } from './status.ts';

/** How many replicas a rule wants now. `ahead`: the warm number at least; `lag`: by lag; `before`: as it was found. */
export type ScaleMode = 'ahead' | 'lag' | 'before';

/** Replicas come down only after the lag has asked for fewer this long, so that a short pause costs no restart. */
const SCALE_DOWN_AFTER_MS = 30_000;

export interface ScaleDeps {
  readonly workloads: Workloads;
  readonly log: Pick<PurchaseLog, 'offsets'>;
}

/** Since when each target has wanted fewer replicas than it has (Unix ms), by `namespace/sale/target`. */
export type ScaleDownSince = Map<string, number>;

/** Brings every target of a sale to what `mode` wants and says what it found. */
export async function scaleTargets(
  rules: readonly ScaleRule[],
  mode: ScaleMode,
  before: readonly ScaleStatus[],
  deps: ScaleDeps,
  memory: { readonly since: ScaleDownSince; readonly key: string; readonly now: number },
): Promise<ScaleStatus[]> {
  return Promise.all(rules.map((rule) => scaleTarget(rule, mode, before, deps, memory)));
}

async function scaleTarget(
  rule: ScaleRule,
  mode: ScaleMode,
  before: readonly ScaleStatus[],
  { workloads, log }: ScaleDeps,
  memory: { readonly since: ScaleDownSince; readonly key: string; readonly now: number },
): Promise<ScaleStatus> {
  const target = `${rule.target.kind}/${rule.target.name}`;
  const found = await workloads.get(rule.target);
  const earlier = before.find((status) => status.target === target);
  if (!found) return { target, lag: 0, desired: 0, ready: 0, before: earlier?.before ?? 0 };
  const original = earlier?.before ?? found.desired;
  const offsets = await log.offsets(rule.lag.topic, rule.lag.group);
  const { lag, replicas } = byLag(rule, offsets, found.desired);
  const wanted = { ahead: Math.max(rule.warm, replicas), lag: replicas, before: original }[mode];
  const desired = mode === 'lag' ? steady(wanted, found.desired, `${memory.key}/${target}`, memory) : wanted;
  if (desired !== found.desired) await workloads.scale(rule.target, desired);
  return { target, lag, desired, ready: found.ready, before: original };
}

function byLag(
  rule: ScaleRule,
  offsets: readonly PartitionOffsets[],
  current: number,
): { lag: number; replicas: number } {
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
function steady(
  wanted: number,
  current: number,
  key: string,
  { since, now }: { since: ScaleDownSince; now: number },
): number {
  if (wanted >= current) {
    since.delete(key);
    return wanted;
  }
  const first = since.get(key) ?? now;
  since.set(key, first);
  return now - first >= SCALE_DOWN_AFTER_MS ? wanted : current;
}
