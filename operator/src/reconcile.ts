/** One pass over one sale: accept, keep the phase's promises, gather facts, decide, act on the decision, tell, write the status. */
import {
  conditionsOf,
  isFinal,
  nextPhase,
  TOPICS,
  type Phase,
  type PhaseDecision,
  type PublishedSale,
  type SaleFacts,
} from '@flashsale/sale';
import { accept } from './accept.ts';
import { setGate } from './gate.ts';
import { prove } from './proof.ts';
import type { SaleResource } from './resources.ts';
import { scaleTargets, type ScaleMode } from './scale.ts';
import type { OperatorDeps, SaleMemory, Scope } from './scope.ts';
import { withCondition, withSummary, type SaleStatus } from './status.ts';
import { ensureAllocated, ensureStock, watchStock } from './stock.ts';

/** When to look again, in ms. */
const SOON_MS = 0;
const ACTIVE_MS = 500;
const IDLE_MS = 2_000;

/** What the workloads of a sale should be doing, by phase. */
const SCALE_MODE: Readonly<Record<Phase, ScaleMode | undefined>> = {
  Scheduled: undefined,
  Warming: 'ahead',
  Armed: 'ahead',
  Open: 'lag',
  Draining: 'lag',
  Closed: 'before',
  Aborted: 'before',
};

/**
 * Brings one sale one step further and writes its status, whatever happened. Resolves to when it wants the next pass
 * (ms), or undefined where the resource is gone. Throws what made the pass fail, after the status was written.
 */
export async function reconcile(
  resource: SaleResource,
  memory: SaleMemory,
  deps: OperatorDeps,
): Promise<number | undefined> {
  const { status, sale, problems } = accept(resource);
  const now = await deps.store.time();
  if (!sale) return rejected(resource, status, problems[0], deps, now);
  const scope: Scope = { resource, memory, status, sale, problems, now, inspection: undefined, totals: undefined };
  try {
    const decision = await step(scope, deps);
    if (isFinal(scope.status.phase) && resource.deleting) {
      await remove(scope, deps);
      return undefined;
    }
    return decision.phase === status.phase ? pause(decision.phase) : SOON_MS;
  } catch (error) {
    scope.status = { ...scope.status, message: `the last pass failed: ${(error as Error).message}` };
    throw error;
  } finally {
    if (!(isFinal(scope.status.phase) && resource.deleting)) await save(scope, deps);
  }
}

const pause = (phase: Phase): number => (phase === 'Scheduled' || isFinal(phase) ? IDLE_MS : ACTIVE_MS);

async function step(scope: Scope, deps: OperatorDeps): Promise<PhaseDecision> {
  await keepPromises(scope, deps);
  const facts = await gatherFacts(scope, deps);
  const decision = nextPhase({ ...facts, problems: [] }, scope.now);
  await setGate(scope, decision.phase, deps);
  if (decision.phase !== scope.status.phase) {
    deps.note(
      { sale: scope.sale.name, from: scope.status.phase, to: decision.phase, reason: decision.reason },
      decision.message,
    );
  }
  const moved = decision.phase !== scope.status.phase;
  writeFacts(scope, facts, decision);
  await tell(scope, deps, moved);
  return decision;
}

/** What must be so in the phase the sale is in; each part looks first and does nothing where it already is. */
async function keepPromises(scope: Scope, deps: OperatorDeps): Promise<void> {
  const { phase } = scope.status;
  if (phase === 'Warming' || phase === 'Armed' || phase === 'Open' || phase === 'Draining') {
    scope.totals = await deps.ledger.totals(scope.sale.name);
    await ensureAllocated(scope, deps);
    await ensureStock(scope, deps, (changed) => save(changed, deps));
  }
  // A status that was lost starts again from Scheduled; stock that has sold already is settled, not forgotten.
  if (phase === 'Scheduled' && scope.status.epoch === 0) scope.inspection = await deps.store.inspect(scope.sale);
  if (phase === 'Open' || phase === 'Draining') await watchStock(scope, deps, (changed) => save(changed, deps));
  if (isFinal(phase)) await finish(scope, deps);
  await scale(scope, deps);
}

async function scale(scope: Scope, deps: OperatorDeps): Promise<void> {
  const { status, sale, memory, now } = scope;
  const mode = SCALE_MODE[status.phase];
  if (!mode || (mode === 'before' && status.scale.every((target) => target.desired === target.before))) return;
  const found = await scaleTargets(sale.scale, mode, status.scale, deps, {
    since: memory.scaleDownSince,
    key: sale.name,
    now,
  });
  scope.status = { ...status, scale: found };
}

/** The proof is taken once, when the sale has closed. */
async function finish(scope: Scope, deps: OperatorDeps): Promise<void> {
  if (scope.status.phase !== 'Closed' || scope.status.proof) return;
  scope.inspection = await deps.store.inspect(scope.sale);
  const proof = await prove(scope.sale, deps);
  scope.status = { ...scope.status, proof };
  deps.note({ ...proof }, proof.holds ? 'the proof holds' : 'THE PROOF DOES NOT HOLD');
}

async function gatherFacts(scope: Scope, deps: OperatorDeps): Promise<SaleFacts> {
  const { sale, status, problems, resource, inspection, totals } = scope;
  // No service of this platform serves hot pages yet, so there are none to read back.
  const warm = { ...sale.warm, cache: { ...sale.warm.cache, pages: 0 } };
  return {
    sale: { ...sale, warm },
    phase: status.phase,
    problems,
    deleting: resource.deleting,
    items: inspection?.items,
    allocated: totals && totals.length > 0 ? new Map(totals.map((total) => [total.sku, total.allocated])) : undefined,
    cachedPages: 0,
    readyReplicas: new Map(status.scale.map((target) => [target.target, target.ready])),
    outbox: inspection?.outbox,
    lag: status.phase === 'Draining' ? await lagOf(deps) : undefined,
    proof: status.proof && { holds: status.proof.holds, message: proofMessage(status.proof) },
  };
}

const proofMessage = (proof: NonNullable<SaleStatus['proof']>): string =>
  proof.holds ? `${proof.sold} of ${proof.stock} units sold, none twice` : proof.problems.join('; ');

/** Records that a purchase may still have to pass. */
async function lagOf({ log }: OperatorDeps): Promise<number> {
  const ways = [
    [TOPICS.purchases, 'payments'],
    [TOPICS.purchases, 'orders'],
    [TOPICS.payments, 'orders'],
    [TOPICS.refunds, 'payments-refunds'],
  ] as const;
  const offsets = await Promise.all(ways.map(([topic, group]) => log.offsets(topic, group)));
  return offsets
    .flat()
    .reduce((lag, { committed, start, end }) => lag + Math.max(0, (end ?? start) - Math.max(committed, start)), 0);
}

function writeFacts(scope: Scope, facts: SaleFacts, decision: PhaseDecision): void {
  const { status, now } = scope;
  const phase = decision.phase;
  let conditions = status.conditions;
  for (const { condition, ok, reason, message } of conditionsOf({ ...facts, phase })) {
    const value = ok === undefined ? 'Unknown' : ok ? 'True' : 'False';
    const next = {
      type: condition,
      status: value,
      reason,
      message,
      observedGeneration: status.observedGeneration,
    } as const;
    conditions = withCondition(conditions, next, now);
  }
  // Where stock was not looked at in this pass, the last known levels stay.
  const items = facts.items ? [...facts.items].map(([sku, level]) => ({ sku, ...level })) : status.items;
  scope.status = { ...status, phase, message: decision.message, conditions, items };
}

/** Tells the services of the sale where something changed, and everyone of phase and stock. */
async function tell(scope: Scope, { store, signals }: OperatorDeps, moved: boolean): Promise<void> {
  const { sale, status, memory, now, inspection } = scope;
  const published: PublishedSale = { ...sale, epoch: status.epoch, phase: status.phase };
  const text = JSON.stringify(published);
  if (text !== memory.published) {
    await store.publish(published);
    memory.published = text;
  }
  if (moved) await signals.broadcast({ type: 'phase', sale: sale.name, phase: status.phase, at: now });
  if (!inspection) return;
  const items = [...inspection.items].map(([sku, { free, held, sold }]) => ({ sku, free, held, sold }));
  const stock = JSON.stringify(items);
  if (stock === memory.broadcast) return;
  await signals.broadcast({ type: 'stock', sale: sale.name, items });
  memory.broadcast = stock;
}

async function remove({ resource, sale, memory }: Scope, { store, resources }: OperatorDeps): Promise<void> {
  await store.unpublish(sale.name);
  await store.purge(sale);
  await resources.remove(resource);
  memory.published = '';
}

async function rejected(
  resource: SaleResource,
  status: SaleStatus,
  problem: { readonly field: string; readonly message: string } | undefined,
  { resources }: OperatorDeps,
  now: number,
): Promise<number | undefined> {
  if (resource.deleting) {
    await resources.remove(resource);
    return undefined;
  }
  const message = problem ? `${problem.field}: ${problem.message}` : 'the document was not accepted';
  const condition = {
    type: 'Accepted',
    status: 'False',
    reason: 'Invalid',
    message,
    observedGeneration: status.observedGeneration,
  } as const;
  const next = { ...status, message, conditions: withCondition(status.conditions, condition, now) };
  if (JSON.stringify(next) !== JSON.stringify(resource.status)) await resources.writeStatus(resource, next);
  return IDLE_MS;
}

async function save(scope: Scope, { resources }: OperatorDeps): Promise<void> {
  const { resource, sale } = scope;
  const status = withSummary(scope.status, sale);
  if (JSON.stringify(status) !== JSON.stringify(resource.status)) await resources.writeStatus(resource, status);
}
