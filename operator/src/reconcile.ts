/** One pass over one sale: accept, keep the phase's promises, gather facts, decide, act on the decision, tell, write the status. */
import { isDeepStrictEqual } from 'node:util';
import { isFinal, nextPhase, type Phase, type PhaseDecision, type SaleFacts, type SaleProblem } from '@flashsale/sale';
import { accept } from './accept.ts';
import { gatherFacts, rejectedConditions, writeFacts } from './facts.ts';
import { setGate } from './gate.ts';
import { showSale } from './metrics.ts';
import { isAsBefore, longestRest, nextPass, PROOFS, SOON_MS } from './pace.ts';
import { keepPages } from './pages.ts';
import { prove } from './proof.ts';
import type { SaleResource } from './resources.ts';
import { scaleTargets, type ScaleMode } from './scale.ts';
import { textOf, type OperatorDeps, type PassDeps, type SaleMemory, type Scope } from './scope.ts';
import { withSummary, type SaleStatus } from './status.ts';
import {
  adoptEpoch,
  checkName,
  ensureAllocated,
  ensureStock,
  lostSinceClosing,
  noticeLowered,
  rebuild,
  repair,
  reviveLost,
  watchStock,
} from './stock.ts';
import { remove, tell } from './tell.ts';

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
 * `refusal`: why this resource may not be a sale, found by looking at the others.
 */
export async function reconcile(
  resource: SaleResource,
  memory: SaleMemory,
  deps: PassDeps,
  refusal?: SaleProblem,
): Promise<number | undefined> {
  const { status, sale, problems } = accept(resource);
  const unusable = refusal ?? (sale ? undefined : problems[0]);
  if (!sale || unusable) return reject(resource, memory, status, unusable, deps);
  const scope = newScope({ resource, memory, status, sale, problems });
  try {
    scope.now = await deps.clock.read('redis', () => deps.store.time());
    await deps.resources.claim(resource);
    const decision = await step(scope, deps);
    if (isFinal(scope.status.phase) && resource.deleting) {
      await save(scope, deps);
      await remove(scope, deps);
      return undefined;
    }
    await save(scope, deps);
    return decision.phase === status.phase ? pause(scope, deps) : SOON_MS;
  } catch (error) {
    // A pass that was cut short by the drain has not failed.
    if (!deps.stopping.aborted) {
      scope.status = { ...scope.status, message: `the last pass failed: ${textOf(error)}` };
    }
    await save(scope, deps);
    throw error;
  }
}

function newScope(given: Pick<Scope, 'resource' | 'memory' | 'status' | 'sale' | 'problems'>): Scope {
  return {
    ...given,
    barred: undefined,
    now: 0,
    inspection: undefined,
    totals: undefined,
    pages: undefined,
    trouble: [],
  };
}

function pause({ memory, ...scope }: Scope, { timers }: OperatorDeps): number {
  return nextPass({ ...scope, failedProofs: memory.failedProofs }, timers.random());
}

async function step(scope: Scope, deps: PassDeps): Promise<PhaseDecision> {
  const from = scope.status.phase;
  await keepPromises(scope, deps);
  const facts = await gatherFacts(scope, deps);
  const { decision, facts: last } = await decide(scope, facts, deps);
  await setGate(scope, decision.phase, deps);
  const moved = decision.phase !== from;
  if (moved) deps.note({ sale: scope.sale.name, from, to: decision.phase, reason: decision.reason }, decision.message);
  writeFacts(scope, last, decision, deps.clock.words());
  noteTrouble(scope, deps);
  await tell(scope, deps, moved);
  return decision;
}

interface Decided {
  readonly decision: PhaseDecision;
  /** What it was decided on. */
  readonly facts: SaleFacts;
}

/** The domain's decision. Two of them are looked at once more, since they cannot be taken back. */
async function decide(scope: Scope, facts: SaleFacts, deps: PassDeps): Promise<Decided> {
  // An invalid edit does not stop a sale: the spec accepted before runs on. A barred sale never starts.
  const ask = (given: SaleFacts): Decided => {
    return { decision: nextPhase({ ...given, problems: scope.barred ? [scope.barred] : [] }, scope.now), facts: given };
  };
  const first = ask(facts);
  const { phase } = first.decision;
  if (phase === scope.status.phase) return first;
  if (phase === 'Closed' && (await reviveLost(scope, deps, (changed) => save(changed, deps)))) {
    return ask(await gatherFacts(scope, deps));
  }
  if (phase === 'Aborted' && scope.status.epoch > 0) {
    // The gate may have opened by its clock since the stock was read: shut it first, then see whether anybody bought.
    await setGate(scope, 'Aborted', deps);
    scope.inspection = await deps.store.inspect(scope.sale);
    return ask({ ...facts, items: scope.inspection?.items, outbox: scope.inspection?.outbox });
  }
  return first;
}

/** What must be so in the phase the sale is in; each part looks first and does nothing where it already is. */
async function keepPromises(scope: Scope, deps: PassDeps): Promise<void> {
  const { phase } = scope.status;
  if (phase === 'Scheduled' || phase === 'Warming' || phase === 'Armed') await prepare(scope, deps);
  if (phase === 'Open' || phase === 'Draining') {
    await keepStock(scope, deps);
    await watchStock(scope, deps);
    await repair(scope, deps, (changed) => save(changed, deps));
  }
  if (phase === 'Closed') await finish(scope, deps);
  if (scope.barred) return;
  await keepPages(scope, deps);
  await scale(scope, deps);
}

/** Before the opening. A status that was lost starts again from here; stock that has sold is settled, not forgotten. */
async function prepare(scope: Scope, deps: PassDeps): Promise<void> {
  const { phase } = scope.status;
  if (phase === 'Scheduled' || scope.status.epoch === 0 || scope.resource.deleting) {
    scope.inspection = await deps.store.inspect(scope.sale);
    adoptEpoch(scope);
    if (scope.resource.deleting) return;
    if (scope.status.epoch === 0) await checkName(scope, deps, phase === 'Warming');
  }
  if (phase === 'Scheduled' || scope.barred) return;
  await keepStock(scope, deps);
  await repair(scope, deps, (changed) => save(changed, deps));
}

async function keepStock(scope: Scope, deps: PassDeps): Promise<void> {
  await ensureAllocated(scope, deps);
  await ensureStock(scope, deps, (changed) => save(changed, deps));
  noticeLowered(scope);
}

async function scale(scope: Scope, deps: OperatorDeps): Promise<void> {
  const { status, sale, memory, now } = scope;
  const mode = SCALE_MODE[status.phase];
  if (!mode || (mode === 'before' && status.scale.every(isAsBefore))) return;
  const context = { sale, since: memory.scaleDownSince, now };
  const { targets, trouble } = await scaleTargets(sale.scale, mode, status.scale, deps, context);
  scope.trouble.push(...trouble);
  // What could not be asked is not Ready for the arming; an Armed sale keeps what was read back before.
  const unread = trouble.length > 0 && status.phase === 'Warming';
  scope.status = { ...status, scale: unread ? targets.map((target) => ({ ...target, ready: 0 })) : targets };
}

/** A closed sale keeps its stock for whoever takes the proof again; the proof is taken here once, until it holds. */
async function finish(scope: Scope, deps: PassDeps): Promise<void> {
  const { memory, resource, sale } = scope;
  if (resource.deleting) return;
  scope.inspection = await deps.store.inspect(sale);
  adoptEpoch(scope);
  if (memory.failedProofs < PROOFS && lostSinceClosing(scope)) {
    await rebuild(scope, deps, (changed) => save(changed, deps));
    const { proof: _taken, ...unproven } = scope.status;
    scope.status = unproven;
  }
  await setGate(scope, 'Closed', deps);
  if (scope.status.proof?.holds === true || memory.failedProofs >= PROOFS) return;
  const proof = await prove(sale, deps, { signal: deps.stopping });
  if (!proof.holds) memory.failedProofs += 1;
  scope.status = { ...scope.status, proof };
  deps.note({ ...proof }, proof.holds ? 'the proof holds' : 'THE PROOF DOES NOT HOLD');
}

function noteTrouble({ memory, sale, trouble }: Scope, { note }: OperatorDeps): void {
  const text = trouble.join('; ');
  if (text !== memory.trouble && text !== '') note({ sale: sale.name }, text);
  memory.trouble = text;
}

/** A resource that is no sale has nothing but its status. */
async function reject(
  resource: SaleResource,
  memory: SaleMemory,
  status: SaleStatus,
  problem: SaleProblem = { field: '', message: 'the document was not accepted' },
  { resources, timers }: OperatorDeps,
): Promise<number | undefined> {
  if (resource.deleting) {
    await resources.remove(resource);
    return undefined;
  }
  // Redis is not asked for the time: what is wrong with a document can be said without it.
  const conditions = rejectedConditions(status, problem, Date.now());
  const message = conditions.find(({ type }) => type === 'Accepted')?.message ?? '';
  const { accepted: _never, ...rest } = status;
  const next = { ...rest, message, conditions };
  if (!isDeepStrictEqual(next, memory.status)) await resources.writeStatus(resource, next);
  memory.status = next;
  return longestRest(timers.random());
}

async function save(scope: Scope, { resources }: OperatorDeps): Promise<void> {
  const { resource, sale, memory } = scope;
  const status = withSummary(scope.status, sale);
  showSale(sale.name, status);
  // The API server gives the members back in another order.
  if (!isDeepStrictEqual(status, memory.status)) await resources.writeStatus(resource, status);
  memory.status = status;
}
