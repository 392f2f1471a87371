/** Gathers what the domain decides on, and writes into the status what was found. */
import {
  conditionsOf,
  CONDITIONS,
  type PhaseDecision,
  type SaleFacts,
  type SaleProblem,
  type ScalingNote,
} from '@flashsale/sale';
import { DrainWatch } from './drained.ts';
import { textOf, type OperatorDeps, type Scope } from './scope.ts';
import { withCondition, type SaleStatus, type ScaleStatus, type StatusCondition } from './status.ts';

export async function gatherFacts(scope: Scope, deps: OperatorDeps): Promise<SaleFacts> {
  const { sale, status, problems, resource, inspection, totals, pages, barred } = scope;
  const found = status.scale.filter((target) => target.missing !== true);
  return {
    sale,
    phase: status.phase,
    problems: barred ? [barred, ...problems] : problems,
    deleting: resource.deleting,
    items: inspection?.items,
    allocated: totals?.length ? new Map(totals.map((total) => [total.sku, total.allocated])) : undefined,
    cachedPages: pages?.cached,
    pagesNote: pages?.note,
    readyReplicas: new Map(found.map((target) => [target.target, target.ready])),
    scaling: new Map(found.flatMap(noteOf)),
    outbox: inspection?.outbox,
    lag: status.phase === 'Draining' ? await lagOf(scope, deps) : undefined,
    proof: status.proof && { holds: status.proof.holds, message: proofMessage(status.proof) },
  };
}

/** Why a workload is not scaled up (yet). */
function noteOf({ target, heldBy, scaleUpAt }: ScaleStatus): [string, ScalingNote][] {
  if (heldBy !== undefined) {
    const message = `${heldBy} looks after it: raise its minReplicas for the sale, or remove it`;
    return [[target, { reason: 'HeldByHPA', message }]];
  }
  if (scaleUpAt === undefined) return [];
  return [[target, { reason: 'ScaleUpLater', message: `it is scaled up at ${scaleUpAt}` }]];
}

const proofMessage = (proof: NonNullable<SaleStatus['proof']>): string =>
  proof.holds ? `${proof.sold} of ${proof.stock} units sold, none twice` : proof.problems.join('; ');

/** Records that a purchase of this sale may still have to pass; asked only once nothing of it is held or in the outbox. */
async function lagOf({ memory, inspection, trouble }: Scope, { log }: OperatorDeps): Promise<number | undefined> {
  const held = [...(inspection?.items.values() ?? [])].some((level) => level.held > 0);
  if (!inspection || held || inspection.outbox > 0) {
    memory.drain = new DrainWatch();
    return undefined;
  }
  try {
    return await memory.drain.left(log);
  } catch (error) {
    trouble.push(`the log cannot be read: ${textOf(error)}`);
    return undefined;
  }
}

/** `clock`: what is wrong with the operator's clock, if anything; said with Armed, which is decided by the clock. */
export function writeFacts(scope: Scope, facts: SaleFacts, decision: PhaseDecision, clock: readonly string[]): void {
  const { status, now, trouble } = scope;
  const phase = decision.phase;
  let conditions: readonly StatusCondition[] = status.conditions;
  for (const { condition, ok, reason, message: found } of conditionsOf({ ...facts, phase })) {
    const message = condition === 'Armed' ? [found, ...clock].join('; ') : found;
    const value = ok === undefined ? 'Unknown' : ok ? 'True' : 'False';
    const finding = { type: condition, status: value, reason, message } as const;
    conditions = withCondition(conditions, finding, status.observedGeneration, now);
  }
  // Where stock was not looked at in this pass, the last known levels stay.
  const items = facts.items ? [...facts.items].map(([sku, level]) => ({ sku, ...level })) : status.items;
  scope.status = { ...status, phase, message: [decision.message, ...trouble].join('; '), conditions, items };
}

/** The conditions of a resource of which no spec was ever accepted. */
export function rejectedConditions(status: SaleStatus, problem: SaleProblem, now: number): readonly StatusCondition[] {
  const message = problem.field === '' ? problem.message : `${problem.field}: ${problem.message}`;
  let conditions: readonly StatusCondition[] = status.conditions;
  for (const type of CONDITIONS) {
    const condition =
      type === 'Accepted'
        ? ({ type, status: 'False', reason: 'Invalid', message } as const)
        : ({
            type,
            status: 'Unknown',
            reason: 'NotAccepted',
            message: 'no spec of this resource was accepted yet',
          } as const);
    conditions = withCondition(conditions, condition, status.observedGeneration, now);
  }
  return conditions;
}
