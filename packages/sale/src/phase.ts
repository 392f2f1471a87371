/** The life of a sale: which moves between phases are legal, and which one is due. Pure; the clock is passed in. */
import { firstObstacle, stockIsWarm } from './readiness.ts';
import type { SaleFacts } from './readiness.ts';
import { PHASES } from './types.ts';
import type { Phase } from './types.ts';

export type PhaseMoves = Readonly<Record<Phase, readonly Phase[]>>;

/**
 * From each phase, where a sale may go next. `Draining` straight from a phase before `Open` is for an operator that
 * comes back without its status after a sale that did sell: that sale has to be settled, not aborted.
 */
export const PHASE_MOVES: PhaseMoves = {
  Scheduled: ['Warming', 'Draining', 'Aborted'],
  Warming: ['Armed', 'Open', 'Draining', 'Aborted'],
  Armed: ['Warming', 'Open', 'Draining', 'Aborted'],
  Open: ['Draining'],
  Draining: ['Closed'],
  Closed: [],
  Aborted: [],
};

const FINAL: readonly Phase[] = ['Closed', 'Aborted'];

export function isFinal(phase: Phase): boolean {
  return FINAL.includes(phase);
}

export function canMove(from: Phase, to: Phase, moves: PhaseMoves = PHASE_MOVES): boolean {
  return moves[from].includes(to);
}

/** What is wrong with a table of moves: phases never reached from Scheduled, dead ends, ways out of a final phase. */
export function unsoundMoves(moves: PhaseMoves): string[] {
  const reached = new Set<Phase>(['Scheduled']);
  // A Set hands out members added while it is walked, so this visits everything that can be reached.
  for (const phase of reached) for (const next of moves[phase]) reached.add(next);
  return PHASES.flatMap((phase) => {
    const problems: string[] = [];
    if (!reached.has(phase)) problems.push(`${phase} cannot be reached from Scheduled`);
    if (isFinal(phase) && moves[phase].length > 0) problems.push(`${phase} is final but has a way out`);
    if (!isFinal(phase) && moves[phase].length === 0) problems.push(`${phase} is not final but has no way out`);
    if (moves[phase].includes(phase)) problems.push(`${phase} leads to itself`);
    return problems;
  });
}

/** The phase that a sale should be in next, and why. At most one move: ask again after carrying it out. */
export interface PhaseDecision {
  readonly phase: Phase;
  /** CamelCase, for machines. */
  readonly reason: string;
  readonly message: string;
}

type Rule = (facts: SaleFacts, now: number) => PhaseDecision;
const go = (phase: Phase, reason: string, message: string): PhaseDecision => ({ phase, reason, message });
const time = (ms: number): string => new Date(ms).toISOString();

const scheduled: Rule = (facts, now) => {
  const { opensAt, warm } = facts.sale;
  const warmAt = opensAt - warm.leadTimeMs;
  if (facts.deleting || isOver(facts, now)) return end(facts);
  if (facts.problems.length > 0) return go('Scheduled', 'NotAccepted', 'the resource has problems; see Accepted');
  if (now < warmAt) return go('Scheduled', 'Waiting', `warm-up starts at ${time(warmAt)}`);
  return go('Warming', 'LeadTimeReached', `the sale opens at ${time(opensAt)}`);
};

const warming: Rule = (facts, now) => {
  if (facts.deleting || isOver(facts, now)) return end(facts);
  const obstacle = firstObstacle(facts);
  if (!obstacle) return go('Armed', 'Ready', 'everything was read back and equals the resource');
  const why = `${obstacle.condition}: ${obstacle.message}`;
  return now < facts.sale.opensAt ? go('Warming', 'NotReady', why) : late(facts, why);
};

/** At `opensAt` and not Armed: what the owner chose. Nothing opens without stock. */
function late(facts: SaleFacts, why: string): PhaseDecision {
  const { notReady } = facts.sale;
  if (notReady === 'Abort') return end(facts, 'NotReadyAtOpening', why);
  if (notReady === 'Delay') return go('Warming', 'Delayed', `opens as soon as it is ready; ${why}`);
  if (!stockIsWarm(facts)) return go('Warming', 'NoStock', `opens as soon as stock is warm; ${why}`);
  return go('Open', 'OpenedNotReady', `opened although not ready; ${why}`);
}

const armed: Rule = (facts, now) => {
  if (now >= facts.sale.opensAt) return go('Open', 'OpeningReached', `opened at ${time(facts.sale.opensAt)}`);
  if (facts.deleting) return end(facts);
  const obstacle = firstObstacle(facts);
  if (obstacle) return go('Warming', 'CheckFailed', `${obstacle.condition}: ${obstacle.message}`);
  return go('Armed', 'Ready', `opens at ${time(facts.sale.opensAt)}`);
};

const open: Rule = (facts, now) => {
  if (facts.deleting) return go('Draining', 'Deleted', 'the resource is being deleted');
  if (isOver(facts, now)) return go('Draining', 'ClosingReached', `closed at ${time(facts.sale.closesAt)}`);
  return go('Open', 'Open', `closes at ${time(facts.sale.closesAt)}`);
};

const draining: Rule = (facts) => {
  const open = unsettled(facts);
  return open
    ? go('Draining', 'Unsettled', open)
    : go('Closed', 'Settled', 'nothing is held and nothing is on its way');
};

/** What keeps a sale from being closed; undefined where nothing does. What could not be read counts as unsettled. */
function unsettled({ items, outbox, lag }: SaleFacts): string | undefined {
  if (!items) return 'stock cannot be read from Redis';
  const held = [...items.values()].reduce((units, level) => units + level.held, 0);
  if (held > 0) return `${held} units are in payment`;
  if (outbox !== 0) return outbox === undefined ? 'the outbox cannot be read' : `${outbox} entries are in the outbox`;
  if (lag !== 0) return lag === undefined ? 'the log cannot be read' : `${lag} records are still to be consumed`;
  return undefined;
}

/** Ends a sale ahead of its opening: aborted, or drained where it did sell. */
function end(facts: SaleFacts, reason?: string, message?: string): PhaseDecision {
  const traded = [...(facts.items?.values() ?? [])].some((level) => level.held + level.sold > 0);
  if (traded) return go('Draining', 'SoldBefore', 'units are in payment or sold, so they are settled first');
  if (reason !== undefined) return go('Aborted', reason, message ?? reason);
  if (facts.deleting) return go('Aborted', 'Deleted', 'the resource was deleted before the opening');
  return go('Aborted', 'NeverOpened', `the sale was not ready before ${time(facts.sale.closesAt)}`);
}

function isOver(facts: SaleFacts, now: number): boolean {
  return now >= facts.sale.closesAt;
}

const stay: Rule = ({ phase }) => go(phase, phase, `the sale is ${phase}`);

const RULES: Readonly<Record<Phase, Rule>> = {
  Scheduled: scheduled,
  Warming: warming,
  Armed: armed,
  Open: open,
  Draining: draining,
  Closed: stay,
  Aborted: stay,
};

/**
 * The move that is due. `now` is Unix ms by Redis TIME, the clock that opens the gate: with another clock the
 * operator could abort a sale in which somebody has just bought.
 */
export function nextPhase(facts: SaleFacts, now: number): PhaseDecision {
  return RULES[facts.phase](facts, now);
}
