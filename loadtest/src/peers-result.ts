/** What came of the rounds of one shop, and the table of all. Pure. */
import { median, table } from './figures.ts';

/** One round at one shop. */
export interface RoundResult {
  readonly stock: number;
  readonly buyers: number;
  readonly bought: number;
  readonly turnedAway: number;
  readonly failed: number;
  readonly unanswered: number;
  /** By the shop's own records; undefined where it keeps none. */
  readonly sold: number | undefined;
  /** CPU of all its processes, from the first request until its records were complete. */
  readonly cpuMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly seconds: number;
}

export interface ShopResult {
  readonly name: string;
  readonly rounds: number;
  readonly buyers: number;
  readonly bought: number;
  readonly turnedAway: number;
  /** Medians of the rounds. */
  readonly purchasesPerCpuSecond: number;
  readonly answersPerCpuSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Units promised or recorded beyond the stock, over all rounds. */
  readonly oversold: number;
  /** Buyers who were told that they have a unit, and of whom the shop's records know nothing; undefined: no records. */
  readonly lost: number | undefined;
  readonly failed: number;
  readonly unanswered: number;
}

export function summarize(name: string, rounds: readonly RoundResult[]): ShopResult {
  const sum = (of: (round: RoundResult) => number): number => rounds.reduce((all, round) => all + of(round), 0);
  const middle = (of: (round: RoundResult) => number): number => median(rounds.map(of));
  const hasRecords = rounds.every(({ sold }) => sold !== undefined);
  return {
    name,
    rounds: rounds.length,
    buyers: sum(({ buyers }) => buyers),
    bought: sum(({ bought }) => bought),
    turnedAway: sum(({ turnedAway }) => turnedAway),
    purchasesPerCpuSecond: middle(({ bought, stock, cpuMs }) => perSecond(Math.min(bought, stock), cpuMs)),
    answersPerCpuSecond: middle(({ bought, turnedAway, cpuMs }) => perSecond(bought + turnedAway, cpuMs)),
    p50Ms: middle(({ p50Ms }) => p50Ms),
    p99Ms: middle(({ p99Ms }) => p99Ms),
    oversold: sum(({ bought, sold, stock }) => Math.max(0, Math.max(bought, sold ?? 0) - stock)),
    lost: hasRecords ? sum(({ bought, sold }) => Math.max(0, bought - (sold ?? 0))) : undefined,
    failed: sum(({ failed }) => failed),
    unanswered: sum(({ unanswered }) => unanswered),
  };
}

/** Of a CPU that was too little to be measured (10 ms), nothing is said. */
function perSecond(count: number, cpuMs: number): number {
  return cpuMs < 10 ? NaN : (count * 1000) / cpuMs;
}

export function asTable(results: readonly ShopResult[]): string {
  const figure = (value: number): string => (Number.isFinite(value) ? value.toFixed(value < 100 ? 1 : 0) : '–');
  const rows = results.map((result) => [
    result.name,
    String(result.bought),
    figure(result.purchasesPerCpuSecond),
    figure(result.answersPerCpuSecond),
    figure(result.p50Ms),
    figure(result.p99Ms),
    String(result.oversold),
    result.lost === undefined ? '–' : String(result.lost),
    String(result.failed),
    String(result.unanswered),
  ]);
  const head = [
    '',
    'bought',
    'bought/CPU s',
    'answers/CPU s',
    'p50 ms',
    'p99 ms',
    'oversold',
    'lost',
    'failed',
    'unanswered',
  ];
  return table([head, ...rows]);
}
