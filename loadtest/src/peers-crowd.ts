/** One crowd at one shop: every buyer once, in a seeded order, so many at a time, within a budget of time. */
import { setTimeout as pause } from 'node:timers/promises';
import { seededRandom } from '@flashsale/local/rush/random';
import { Pool } from 'undici';
import type { Adapter, Outcome, Round, Shop } from '../peers/adapter.ts';
import { Histogram } from './histogram.ts';

const ANSWER_MS = 10_000;
/** Between two tries of a buyer who is told to come again. */
const AGAIN_MS = 200;

export interface CrowdOptions {
  readonly concurrency: number;
  readonly budgetMs: number;
  readonly seed: number;
  /** Ends the crowd before its budget does. */
  readonly signal?: AbortSignal;
}

export interface CrowdResult {
  readonly bought: number;
  readonly turnedAway: number;
  /** Answers that were neither, and connections that broke. */
  readonly failed: number;
  /** Buyers without a final answer at the end of the budget. */
  readonly unanswered: number;
  readonly latencies: Histogram;
  readonly seconds: number;
}

export async function sendCrowd(
  adapter: Adapter,
  { origin }: Shop,
  round: Round,
  tokens: readonly string[],
  { concurrency, budgetMs, seed, signal }: CrowdOptions,
): Promise<CrowdResult> {
  const pool = new Pool(origin, { connections: concurrency, headersTimeout: ANSWER_MS, bodyTimeout: ANSWER_MS });
  const order = shuffled(tokens, seed);
  const latencies = new Histogram();
  const counts: Record<Outcome, number> = { bought: 0, turnedAway: 0, again: 0, failed: 0 };
  const started = performance.now();
  const over = AbortSignal.any([AbortSignal.timeout(budgetMs), ...(signal ? [signal] : [])]);
  const tryOnce = async (token: string): Promise<Outcome> => {
    const { method, path, headers = {}, body = null } = adapter.buy(round, token);
    const sent = performance.now();
    const reply = await pool.request({ method, path, headers: { ...headers }, body, signal: over });
    const text = await reply.body.text();
    latencies.add(performance.now() - sent);
    return adapter.outcome(reply.statusCode, text);
  };
  const visit = async (token: string): Promise<void> => {
    while (!over.aborted) {
      const outcome = await tryOnce(token).catch((): Outcome => (over.aborted ? 'again' : 'failed'));
      if (outcome === 'again') {
        await pause(AGAIN_MS, undefined, { signal: over }).catch(() => undefined);
        continue;
      }
      counts[outcome]++;
      return;
    }
  };
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let token = order[next++]; token !== undefined && !over.aborted; token = order[next++]) await visit(token);
  };
  try {
    await Promise.all(Array.from({ length: concurrency }, worker));
  } finally {
    await pool.destroy();
  }
  const { bought, turnedAway, failed } = counts;
  const unanswered = tokens.length - bought - turnedAway - failed;
  return { bought, turnedAway, failed, unanswered, latencies, seconds: (performance.now() - started) / 1000 };
}

/** The same order for the same seed. */
export function shuffled<T>(list: readonly T[], seed: number): T[] {
  const random = seededRandom(seed);
  return list
    .map((value) => ({ value, at: random() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ value }) => value);
}
