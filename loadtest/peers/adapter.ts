/** What a peer's adapter is: how a shop is prepared, how its buyers get tokens, how one of them buys. */

/** A shop that runs. */
export interface Shop {
  /** `http://127.0.0.1:PORT`, without a slash at the end. */
  readonly origin: string;
}

/** What each round of the crowd is about. */
export interface Round {
  /** Fit for a name (small letters, digits, hyphens); no two rounds have the same. */
  readonly name: string;
  readonly stock: number;
  readonly buyers: number;
}

/** One HTTP request as the harness sends it: the same client for every shop. */
export interface Request {
  readonly method: 'GET' | 'POST' | 'PUT';
  /** Begins with a slash. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/**
 * What the shop told the buyer. `bought`: he has a unit, or will be charged for it. `turnedAway`: nothing is left for him.
 * `again`: he shall come back with the same request. `failed`: anything else.
 */
export type Outcome = 'bought' | 'turnedAway' | 'again' | 'failed';

export interface Adapter {
  /** Shown in the table. */
  readonly name: string;
  /** Puts `round.stock` units of one item on sale, one a buyer at most. Resolves when they can be bought. */
  prepare(shop: Shop, round: Round, signal: AbortSignal): Promise<void>;
  /** Tokens (or whatever identifies a buyer) of `round.buyers` different buyers. Not measured. */
  tokens(shop: Shop, round: Round, signal: AbortSignal): Promise<readonly string[]>;
  /** The request by which one buyer buys one unit. The same request again must not buy a second one. */
  buy(round: Round, token: string): Request;
  /** What an answer to it means. */
  outcome(status: number, body: string): Outcome;
  /**
   * Units sold in the round by the shop's own records, when nothing is under way any more. Without it nobody can say
   * whether something was lost: leave it out only where the shop has no such answer.
   */
  sold?(shop: Shop, round: Round, signal: AbortSignal): Promise<number>;
}

/** Answers other than 2xx are errors: for `prepare`, `tokens` and `sold`. The text of the answer. */
export async function ask(shop: Shop, { method, path, headers, body }: Request, signal: AbortSignal): Promise<string> {
  const init = { method, headers: { ...headers }, signal, ...(body === undefined ? {} : { body }) };
  const answer = await fetch(`${shop.origin}${path}`, init);
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path} answered ${answer.status}: ${text.slice(0, 200)}`);
  return text;
}

/** `body` as JSON, with the header that says so. */
export const json = (body: unknown): { headers: Record<string, string>; body: string } => ({
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
});
