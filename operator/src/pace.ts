/** When a sale wants its next pass. Pure. */
import { isFinal, type Sale } from '@flashsale/sale';
import type { SaleStatus } from './status.ts';

/** After a move: the next step is due, but others that wait come first. In ms, as all here. */
export const SOON_MS = 1;
const ACTIVE_MS = 500;
const RETRY_MS = 2_000;
/** Longest rest of a sale that only waits; each is spread over 0.8 to 1 of it. */
const REST_MS = 5 * 60_000;
const SPREAD = 0.2;
/** A proof that does not hold is taken again this often: something may have been late. */
export const PROOFS = 5;

export interface Standing {
  readonly sale: Pick<Sale, 'opensAt' | 'closesAt' | 'warm'>;
  readonly status: SaleStatus;
  /** Unix ms by Redis TIME. */
  readonly now: number;
  /** What could not be done in this pass. */
  readonly trouble: readonly string[];
  readonly failedProofs: number;
}

/** How long a sale may rest at the longest: spread, so that many that began together do not come back together. */
export const longestRest = (random: number): number => REST_MS * (1 - SPREAD * random);

/** Until the next look, ms, and no longer than until the clock asks for something. `random` is from [0, 1). */
export function nextPass(standing: Standing, random: number): number {
  const instants = instantsOf(standing).map((at) => at - standing.now);
  return Math.min(usual(standing, random), ...instants.filter((ms) => ms > 0));
}

function usual({ status, trouble, failedProofs }: Standing, random: number): number {
  const { phase } = status;
  if (phase !== 'Scheduled' && !isFinal(phase)) return ACTIVE_MS;
  const settled = phase === 'Scheduled' || (isProven(status, failedProofs) && status.scale.every(isAsBefore));
  return settled && trouble.length === 0 ? longestRest(random) : RETRY_MS;
}

function instantsOf({ sale, status }: Standing): number[] {
  const scaleUps = status.scale.flatMap(({ scaleUpAt }) => (scaleUpAt === undefined ? [] : [Date.parse(scaleUpAt)]));
  return [sale.opensAt - sale.warm.leadTimeMs, ...scaleUps, sale.opensAt, sale.closesAt];
}

/** The proof holds, or was taken for the last time; an aborted sale has none. */
function isProven({ phase, proof }: SaleStatus, failedProofs: number): boolean {
  return phase === 'Aborted' || proof?.holds === true || failedProofs >= PROOFS;
}

/** The workload is back to what it was, and the replicas that were for the sale are gone. */
export function isAsBefore({ missing, desired, ready, before }: SaleStatus['scale'][number]): boolean {
  return missing === true || (desired === before && ready <= before);
}

/**
 * The instant that a sale waits for or is late for, Unix ms: in this order an operator that takes over looks at many of
 * them, so that what is due is not behind what can wait. What was never looked at comes first, what is over last.
 */
export function urgencyOf(status: Pick<SaleStatus, 'phase' | 'accepted'> | undefined): number {
  if (!status?.accepted) return 0;
  const { phase, accepted } = status;
  if (isFinal(phase)) return Number.MAX_SAFE_INTEGER;
  return phase === 'Open' || phase === 'Draining' ? accepted.closesAt : accepted.opensAt;
}
