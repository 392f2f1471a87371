/** A run against the last one of its scenario: what got better or worse by more than such figures scatter. */
import { median } from './figures.ts';
import type { Figure, LoadRun } from './load-run.ts';

export type Change = 'better' | 'worse' | 'same' | 'new';

export interface Compared {
  readonly name: string;
  readonly unit: string;
  readonly now: number;
  readonly before: number | undefined;
  /** Differences up to this are noise; undefined where there is nothing to compare with. */
  readonly noise: number | undefined;
  readonly change: Change;
}

export interface Comparison {
  readonly rows: readonly Compared[];
  /** When the other run was, ISO 8601; undefined where there is none. */
  readonly with: string | undefined;
  /** Why the figures cannot be compared; then no row is better or worse. */
  readonly unlike: string | undefined;
}

/**
 * Runs of the same code differ by more than they scatter within: other work on the machine, another placement of the
 * processes. How much is seen from earlier runs; while they are too few, only what doubles or halves counts.
 */
const ENOUGH_RUNS = 3;
const FLOOR = { known: 0.2, unknown: 1 } as const;
/** Below this a difference in ms is nobody's business. */
const FLOOR_MS = 2;
/** Runs that are remembered. */
const MOST_RUNS = 10;
/** Standard deviations that are noise still: 1 in 100 differences of equals is larger, were they of a normal distribution. */
const SIGMAS = 2.58;
/** From the median absolute deviation to the standard deviation of a normal distribution. */
const MAD_TO_SIGMA = 1.4826;

export function compare(now: LoadRun, before: LoadRun | undefined): Comparison {
  const unlike = before && unlikeness(now, before);
  const rows = now.figures.map((figure) => {
    const other = before?.figures.find(({ name, unit }) => name === figure.name && unit === figure.unit);
    return compareFigure(figure, other, now.history[figure.name] ?? [], unlike === undefined);
  });
  return { rows, with: before?.startedAt, unlike };
}

function compareFigure(
  now: Figure,
  before: Figure | undefined,
  history: readonly number[],
  isAlike: boolean,
): Compared {
  const { name, unit, value } = now;
  if (before === undefined) return { name, unit, now: value, before: undefined, noise: undefined, change: 'new' };
  const noise = noiseOf(now, before, history);
  const row = { name, unit, now: value, before: before.value, noise };
  if (!isAlike || Math.abs(value - before.value) <= noise) return { ...row, change: 'same' };
  return { ...row, change: value < before.value === (now.better === 'lower') ? 'better' : 'worse' };
}

/** The most of: the scatter within the two runs, the scatter of earlier runs, and what is too little to be worth a word. */
export function noiseOf(a: Figure, b: Figure, history: readonly number[]): number {
  const within = SIGMAS * Math.sqrt(squaredError(a.blocks) + squaredError(b.blocks));
  const isKnown = history.length >= ENOUGH_RUNS;
  const between = isKnown ? SIGMAS * Math.SQRT2 * MAD_TO_SIGMA * deviation(history) : 0;
  const floor = (isKnown ? FLOOR.known : FLOOR.unknown) * Math.min(a.value, b.value);
  return Math.max(within, between, floor, a.unit === 'ms' ? FLOOR_MS : 0);
}

/** The figures of earlier runs that the next record carries on: none of a run that was not alike. */
export function historyOf(now: Omit<LoadRun, 'history'>, before: LoadRun | undefined): LoadRun['history'] {
  if (before === undefined || unlikeness(now, before) !== undefined) return {};
  const entries = before.figures.map(({ name, value }) => {
    return [name, [...(before.history[name] ?? []), value].slice(-MOST_RUNS)] as const;
  });
  return Object.fromEntries(entries);
}

/** The median absolute deviation. */
function deviation(values: readonly number[]): number {
  const middle = median(values);
  return median(values.map((value) => Math.abs(value - middle)));
}

/** The squared standard error of the mean. */
function squaredError(blocks: readonly number[]): number {
  if (blocks.length < 2) return 0;
  const mean = blocks.reduce((sum, x) => sum + x, 0) / blocks.length;
  const variance = blocks.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (blocks.length - 1);
  return variance / blocks.length;
}

/** Runs of another size or on another machine tell nothing about the code. */
type Kind = Pick<LoadRun, 'size' | 'machineCores'>;

function unlikeness(now: Kind, before: Kind): string | undefined {
  const differing = (['buyers', 'rate', 'seconds', 'stock'] as const).filter(
    (key) => now.size[key] !== before.size[key],
  );
  if (differing.length > 0) {
    return differing.map((key) => `${key} was ${before.size[key]}, is ${now.size[key]}`).join('; ');
  }
  if (now.machineCores !== before.machineCores)
    return `the machine had ${before.machineCores} cores, has ${now.machineCores}`;
  return undefined;
}
