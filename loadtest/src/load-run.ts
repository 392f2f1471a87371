/** The record of one load run: what the report draws, what the next run is compared with. Pure. */
import type { Proof } from '@flashsale/operator/proof';
import { BUCKET_MS, emptyBucket, TIMINGS, type Bucket, type K6Samples, type Timing } from './k6-samples.ts';
import type { Scenario, Size } from './scenarios.ts';
import type { Verdict } from './slo-judge.ts';

/** Points that a plot is given at most. */
const MOST_SLICES = 60;
/** Parts of a run whose figures tell how much they scatter by themselves. */
const BLOCKS = 8;

/** A percentile with fewer samples beyond it is chance, and no figure to compare by. */
const LEAST_BEYOND = 9.5;
/** A reading may be so old and still stand for a slice. */
const LATE_MS = 1_500;

/** One reading of the platform while it works. */
export interface Reading {
  /** Unix ms. */
  readonly at: number;
  /** Units left according to the sale; undefined where it did not answer. */
  readonly remaining: number | undefined;
  /** CPU that its processes have used so far. */
  readonly cpuMs: number;
  readonly memoryMb: number;
}

/** A stretch of time. What was not measured in it is absent. */
export interface Slice {
  /** Middle of it, seconds from the first request. */
  readonly at: number;
  readonly p50?: number | undefined;
  readonly p90?: number | undefined;
  readonly p99?: number | undefined;
  readonly pageP95?: number | undefined;
  /** Answers a second, by outcome. */
  readonly perSecond: Readonly<Record<string, number>>;
  readonly remaining?: number | undefined;
  /** CPU cores that the platform used. */
  readonly cores?: number | undefined;
  readonly memoryMb?: number | undefined;
}

export interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly better: 'lower' | 'higher';
  readonly value: number;
  /** The same figure of each of some parts of the run. */
  readonly blocks: readonly number[];
}

/** Records of another form are of an older version: nothing is compared with them. */
export const RECORD_FORM = 1;

export interface LoadRun {
  readonly form: number;
  readonly scenario: Scenario;
  readonly sale: string;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly size: Size;
  /** Cores of the machine, which the platform, its servers and k6 share. */
  readonly machineCores: number;
  readonly slices: readonly Slice[];
  readonly outcomes: Readonly<Record<string, number>>;
  readonly figures: readonly Figure[];
  /** Figures of earlier runs of this size on this machine, by name, oldest first. */
  readonly history: Readonly<Record<string, readonly number[]>>;
  readonly verdicts: readonly Verdict[];
  readonly proof: Proof;
}

/** The middle slices of a run: time, latencies, answers, stock, CPU and memory. */
export function slicesOf(samples: K6Samples, readings: readonly Reading[]): Slice[] {
  const start = samples.startedAt;
  if (start === undefined) return [];
  const last = readings.at(-1)?.at ?? start;
  const buckets = Math.max(samples.buckets.length, Math.ceil((last - start) / BUCKET_MS));
  const width = Math.max(2, Math.ceil(buckets / MOST_SLICES));
  const slices: Slice[] = [];
  for (let from = 0; from < buckets; from += width) {
    const merged = mergeBuckets(samples.buckets.slice(from, from + width));
    const begin = start + from * BUCKET_MS;
    const end = begin + width * BUCKET_MS;
    slices.push({
      at: (begin + end - 2 * start) / 2000,
      ...latencies(merged),
      perSecond: mapValues(merged.outcomes, (n) => (n * 1000) / (width * BUCKET_MS)),
      ...platformIn(readings, begin, end),
    });
  }
  return slices;
}

function latencies({ timings }: Bucket): Pick<Slice, 'p50' | 'p90' | 'p99' | 'pageP95'> {
  const { purchase, page } = timings;
  return {
    p50: purchase.quantile(0.5),
    p90: purchase.quantile(0.9),
    p99: purchase.quantile(0.99),
    pageP95: page.quantile(0.95),
  };
}

function platformIn(
  readings: readonly Reading[],
  begin: number,
  end: number,
): Pick<Slice, 'remaining' | 'cores' | 'memoryMb'> {
  // A reading on a busy machine may be late; an old one is better than a gap.
  const recent = readings.filter(({ at }) => at >= begin - LATE_MS && at < end);
  const last = recent.at(-1);
  const before = readings.findLast(({ at }) => at <= begin && at < (last?.at ?? 0));
  if (!last) return {};
  const cores = before && (last.cpuMs - before.cpuMs) / (last.at - before.at);
  return { remaining: last.remaining, memoryMb: last.memoryMb, cores };
}

/** The figures that runs are compared by. */
export function figuresOf(samples: K6Samples, readings: readonly Reading[]): Figure[] {
  const parts = blocksOf(samples.buckets);
  const whole = mergeBuckets(samples.buckets);
  const timing = (name: string, of: Timing, share: number): Figure[] => {
    const all = whole.timings[of];
    const value = all.count * (1 - share) < LEAST_BEYOND ? undefined : all.quantile(share);
    const blocks = parts.flatMap((part) => part.timings[of].quantile(share) ?? []);
    return value === undefined ? [] : [{ name, unit: 'ms', better: 'lower', value, blocks }];
  };
  return [
    ...timing('purchase p50', 'purchase', 0.5),
    ...timing('purchase p90', 'purchase', 0.9),
    ...timing('purchase p99', 'purchase', 0.99),
    ...timing('page p95', 'page', 0.95),
    ...timing('"paid" heard after, p95', 'paid', 0.95),
    ...cpuFigure(samples, readings),
    ...memoryFigure(readings),
  ];
}

/** CPU of the platform (all its processes and servers) for one answered purchase, over the time of the arrivals. */
function cpuFigure(samples: K6Samples, readings: readonly Reading[]): Figure[] {
  const start = samples.startedAt ?? 0;
  const width = Math.ceil(samples.buckets.length / BLOCKS) * BUCKET_MS;
  const cost = (from: number, to: number): number | undefined => {
    const inside = readings.filter(({ at }) => at >= from && at <= to);
    const [first, last] = [inside[0], inside.at(-1)];
    if (!first || !last || last.at <= first.at) return undefined;
    const part = samples.buckets.slice((first.at - start) / BUCKET_MS, (last.at - start) / BUCKET_MS);
    const answers = countOf(mergeBuckets(part).outcomes);
    return answers === 0 ? undefined : (last.cpuMs - first.cpuMs) / answers;
  };
  const arrivalsEnd = start + samples.buckets.findLastIndex(({ outcomes }) => outcomes.size > 0) * BUCKET_MS;
  const value = cost(start, arrivalsEnd);
  if (value === undefined) return [];
  const blocks = Array.from({ length: BLOCKS }, (_, i) => {
    const from = start + i * width;
    return from < arrivalsEnd ? cost(from, Math.min(from + width, arrivalsEnd)) : undefined;
  }).filter((block) => block !== undefined);
  return [{ name: 'platform CPU a purchase', unit: 'ms', better: 'lower', value, blocks }];
}

function memoryFigure(readings: readonly Reading[]): Figure[] {
  if (readings.length === 0) return [];
  const memory = readings.map(({ memoryMb }) => memoryMb);
  const size = Math.ceil(memory.length / BLOCKS);
  const blocks = Array.from({ length: BLOCKS }, (_, i) => memory.slice(i * size, (i + 1) * size))
    .filter((part) => part.length > 0)
    .map((part) => Math.max(...part));
  return [{ name: 'platform memory, most', unit: 'MB', better: 'lower', value: Math.max(...memory), blocks }];
}

/** The memory of the last fifth of the readings over that of the second, by medians. Undefined where they are too few. */
export function memoryGrowth(readings: readonly Reading[]): number | undefined {
  const fifth = Math.floor(readings.length / 5);
  if (fifth === 0) return undefined;
  const middle = (part: readonly Reading[]): number =>
    part.map(({ memoryMb }) => memoryMb).toSorted((a, b) => a - b)[part.length >> 1] ?? NaN;
  return middle(readings.slice(-fifth)) / middle(readings.slice(fifth, 2 * fifth));
}

export function mergeBuckets(buckets: readonly Bucket[]): Bucket {
  const all = emptyBucket();
  for (const { timings, outcomes } of buckets) {
    for (const name of TIMINGS) all.timings[name].merge(timings[name]);
    for (const [outcome, n] of outcomes) all.outcomes.set(outcome, (all.outcomes.get(outcome) ?? 0) + n);
  }
  return all;
}

function blocksOf(buckets: readonly Bucket[]): Bucket[] {
  const used = buckets.slice(0, 1 + buckets.findLastIndex(({ timings }) => timings.purchase.count > 0));
  const size = Math.max(1, Math.ceil(used.length / BLOCKS));
  const blocks: Bucket[] = [];
  for (let from = 0; from < used.length; from += size) blocks.push(mergeBuckets(used.slice(from, from + size)));
  return blocks;
}

const countOf = (outcomes: ReadonlyMap<string, number>): number =>
  [...outcomes.values()].reduce((sum, n) => sum + n, 0);

const mapValues = (map: ReadonlyMap<string, number>, change: (value: number) => number): Record<string, number> =>
  Object.fromEntries([...map].map(([key, value]) => [key, change(value)]));
