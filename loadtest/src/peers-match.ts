/** The match: the shops by turns, each the same crowd on the same stock, in several rounds. */
import type { Adapter, Round, Shop } from '../peers/adapter.ts';
import { sendCrowd } from './peers-crowd.ts';
import { summarize, type RoundResult, type ShopResult } from './peers-result.ts';

/** For prepare, tokens and sold together, beside the budget of the crowd. */
const ROUND_MS = 300_000;

export interface Contestant {
  readonly adapter: Adapter;
  readonly shop: Shop;
  /** CPU used so far by all its processes, ms. */
  readonly cpuMs: () => number;
}

export interface MatchOptions {
  readonly buyers: number;
  readonly stock: number;
  readonly concurrency: number;
  readonly budgetMs: number;
  readonly rounds: number;
  readonly seed: number;
  /** Makes the names of the rounds differ from those of other matches. */
  readonly id: string;
  readonly onRound?: (name: string, round: number, result: RoundResult) => void;
}

/** Plays one unmeasured round each, to warm up, then the measured ones; who begins changes from round to round. */
export async function play(
  contestants: readonly Contestant[],
  options: MatchOptions,
  signal: AbortSignal,
): Promise<ShopResult[]> {
  const results = new Map(contestants.map((contestant) => [contestant, [] as RoundResult[]]));
  for (let round = 0; round <= options.rounds; round++) {
    const order = round % 2 === 0 ? contestants : contestants.toReversed();
    for (const contestant of order) {
      const result = await playRound(contestant, round, options, signal);
      if (round === 0) continue;
      results.get(contestant)?.push(result);
      options.onRound?.(contestant.adapter.name, round, result);
    }
  }
  return contestants.map((contestant) => summarize(contestant.adapter.name, results.get(contestant) ?? []));
}

async function playRound(
  { adapter, shop, cpuMs }: Contestant,
  number: number,
  options: MatchOptions,
  ended: AbortSignal,
): Promise<RoundResult> {
  const { stock, buyers, budgetMs, concurrency, seed } = options;
  const signal = AbortSignal.any([ended, AbortSignal.timeout(ROUND_MS + budgetMs)]);
  const round: Round = { name: `match-${options.id}-${number}`, stock, buyers };
  await adapter.prepare(shop, round, signal);
  const tokens = await adapter.tokens(shop, round, signal);
  if (tokens.length !== buyers) throw new Error(`${adapter.name} has ${tokens.length} tokens for ${buyers} buyers`);
  const before = cpuMs();
  // The same order for all, another one each round.
  const crowd = await sendCrowd(adapter, shop, round, tokens, { concurrency, budgetMs, seed: seed + number, signal });
  ended.throwIfAborted();
  const sold = await adapter.sold?.(shop, round, signal);
  const { latencies, ...counts } = crowd;
  return {
    ...counts,
    stock,
    buyers,
    sold,
    cpuMs: cpuMs() - before,
    p50Ms: latencies.quantile(0.5) ?? NaN,
    p99Ms: latencies.quantile(0.99) ?? NaN,
  };
}
