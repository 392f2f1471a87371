/** A run against the last one of its scenario: what got better or worse by more than such figures scatter. */
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
 * From one run to the next of the same code figures differ by this part, more than they scatter within a run: another
 * placement of processes, another state of the page cache. Measured; see README.md.
 */
const FLOOR = 0.3;
/** Below this a difference in ms is nobody's business. */
const FLOOR_MS = 2;
/** Standard errors that are noise still: 1 in 100 differences of equals is larger, were they of a normal distribution. */
const SIGMAS = 2.58;

export function compare(now: LoadRun, before: LoadRun | undefined): Comparison {
  const unlike = before && unlikeness(now, before);
  const rows = now.figures.map((figure) => {
    const other = before?.figures.find(({ name, unit }) => name === figure.name && unit === figure.unit);
    return compareFigure(figure, other, unlike === undefined);
  });
  return { rows, with: before?.startedAt, unlike };
}

function compareFigure(now: Figure, before: Figure | undefined, isAlike: boolean): Compared {
  const { name, unit, value } = now;
  if (before === undefined) return { name, unit, now: value, before: undefined, noise: undefined, change: 'new' };
  const noise = noiseOf(now, before);
  const row = { name, unit, now: value, before: before.value, noise };
  if (!isAlike || Math.abs(value - before.value) <= noise) return { ...row, change: 'same' };
  return { ...row, change: value < before.value === (now.better === 'lower') ? 'better' : 'worse' };
}

/** The larger of what runs differ by anyway and of what these two scatter by themselves (standard error of the means). */
export function noiseOf(a: Figure, b: Figure): number {
  const scatter = SIGMAS * Math.sqrt(squaredError(a.blocks) + squaredError(b.blocks));
  return Math.max(scatter, FLOOR * Math.min(a.value, b.value), a.unit === 'ms' ? FLOOR_MS : 0);
}

/** The squared standard error of the mean. */
function squaredError(blocks: readonly number[]): number {
  if (blocks.length < 2) return 0;
  const mean = blocks.reduce((sum, x) => sum + x, 0) / blocks.length;
  const variance = blocks.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (blocks.length - 1);
  return variance / blocks.length;
}

/** Runs of another size or on another machine tell nothing about the code. */
function unlikeness(now: LoadRun, before: LoadRun): string | undefined {
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
