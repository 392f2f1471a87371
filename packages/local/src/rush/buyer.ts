/** One buyer of the crowd: sends one purchase until it has an answer, then hears how it ended. */
import { setTimeout as pause } from 'node:timers/promises';
import { Pool } from 'undici';
import { WebSocket } from 'ws';

export interface Shopper {
  readonly token: string;
  /** Idempotency key, kept over all tries of this buyer. */
  readonly key: string;
  readonly sku: string;
}

/** What one try at the purchase was answered. */
export type Answer =
  | { readonly kind: 'reserved'; readonly id: string }
  /** `held` units are still in payment and may come back. */
  | { readonly kind: 'soldOut'; readonly held: number }
  | { readonly kind: 'rejected'; readonly code: string };

export type Ending = 'paid' | 'refused' | 'expired' | 'refunded';
const ENDINGS: readonly string[] = ['paid', 'refused', 'expired', 'refunded'] satisfies Ending[];

/** One answer's deadline, and how long a buyer keeps trying through 503, 425 and broken connections. */
const ANSWER_MS = 10_000;
const KEEP_TRYING_MS = 60_000;
/** A buyer that hears nothing for this long asks for the status by HTTP. */
const PUSH_PATIENCE_MS = 3_000;

/** Counts over the whole crowd. */
export interface Tally {
  /** Of the try that had an answer, ms. */
  readonly latencies: number[];
  /** From a buyer's first try to his answer, ms. */
  readonly waits: number[];
  retries: number;
  pushed: number;
  polled: number;
}

interface Reply {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly retryAfterMs: number;
}

export class Shop {
  readonly #pool: Pool;
  readonly #origin: string;
  readonly #sale: string;
  readonly #tally: Tally;

  constructor(origin: string, sale: string, connections: number, tally: Tally) {
    this.#pool = new Pool(origin, { connections, headersTimeout: ANSWER_MS, bodyTimeout: ANSWER_MS });
    this.#origin = origin;
    this.#sale = sale;
    this.#tally = tally;
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }

  /** Opens the sale's page, as people do before the opening; it also lets the platform get to know the token. */
  async look(shopper: Shopper, signal: AbortSignal): Promise<void> {
    const headers = { authorization: `Bearer ${shopper.token}` };
    await this.#request('GET', `/api/v1/sales/${this.#sale}`, headers, signal);
  }

  /** Tries to buy one unit, with the same key until there is an answer. */
  async buy(shopper: Shopper, signal: AbortSignal): Promise<Answer> {
    const until = Date.now() + KEEP_TRYING_MS;
    const came = performance.now();
    for (;;) {
      const started = performance.now();
      const reply = await this.#post(shopper, signal);
      if (reply && !shouldRetry(reply)) {
        this.#tally.latencies.push(performance.now() - started);
        this.#tally.waits.push(performance.now() - came);
        return toAnswer(reply);
      }
      if (Date.now() > until) return { kind: 'rejected', code: reply ? codeOf(reply) : 'no_answer' };
      this.#tally.retries++;
      await pause(reply ? reply.retryAfterMs : 200, undefined, { signal });
    }
  }

  /** The ending of a purchase: pushed over a WebSocket, asked for by HTTP where no push came. Undefined: none in time. */
  async ending(
    shopper: Shopper,
    id: string,
    withinMs: number,
    signal: AbortSignal,
  ): Promise<Ending | 'lost' | undefined> {
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(withinMs)]);
    while (!deadline.aborted) {
      const pushed = await this.#pushedEnding(shopper, id, deadline);
      if (pushed) {
        this.#tally.pushed++;
        return pushed;
      }
      const asked = await this.#askedEnding(shopper, id, deadline);
      if (asked) {
        this.#tally.polled++;
        return asked;
      }
    }
    return undefined;
  }

  async #post(shopper: Shopper, signal: AbortSignal): Promise<Reply | undefined> {
    const headers = {
      authorization: `Bearer ${shopper.token}`,
      'idempotency-key': shopper.key,
      'content-type': 'application/json',
    };
    const body = JSON.stringify({ sku: shopper.sku, quantity: 1 });
    return this.#request('POST', `/api/v1/sales/${this.#sale}/purchases`, headers, signal, body);
  }

  /** Undefined where the connection broke or nothing came in time. */
  async #request(
    method: 'GET' | 'POST',
    path: string,
    headers: Record<string, string>,
    signal: AbortSignal,
    body?: string,
  ): Promise<Reply | undefined> {
    try {
      const reply = await this.#pool.request({
        method,
        path,
        headers,
        signal,
        ...(body === undefined ? {} : { body }),
      });
      const json = (await reply.body.json()) as Record<string, unknown>;
      return { status: reply.statusCode, body: json, retryAfterMs: Number(reply.headers['retry-after'] ?? 0) * 1000 };
    } catch {
      signal.throwIfAborted();
      return undefined;
    }
  }

  async #askedEnding(shopper: Shopper, id: string, signal: AbortSignal): Promise<Ending | 'lost' | undefined> {
    const headers = { authorization: `Bearer ${shopper.token}` };
    const reply = await this.#request('GET', `/api/v1/purchases/${id}`, headers, signal).catch(() => undefined);
    // The stock was lost and rebuilt without this reservation: it never reached the log, nothing was charged.
    if (reply?.status === 404) return 'lost';
    const status = reply?.body['status'];
    return typeof status === 'string' && ENDINGS.includes(status) ? (status as Ending) : undefined;
  }

  async #pushedEnding(shopper: Shopper, id: string, signal: AbortSignal): Promise<Ending | undefined> {
    const headers = { authorization: `Bearer ${shopper.token}`, 'content-type': 'application/json' };
    const reply = await this.#request('POST', '/api/v1/live/tickets', headers, signal, '{}').catch(() => undefined);
    const ticket = reply?.body['ticket'];
    if (typeof ticket !== 'string') {
      await pause(500, undefined, { signal }).catch(() => undefined);
      return undefined;
    }
    return listen(`${this.#origin.replace('http', 'ws')}/api/v1/live?ticket=${ticket}`, id, signal);
  }
}

/** Waits on one WebSocket for the ending of a purchase; undefined after the patience, or where the socket broke. */
function listen(url: string, id: string, signal: AbortSignal): Promise<Ending | undefined> {
  return new Promise((resolve) => {
    const socket = new WebSocket(url);
    const done = (ending?: Ending): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', giveUp);
      resolve(ending);
      socket.terminate();
    };
    const giveUp = (): void => done();
    const timer = setTimeout(giveUp, PUSH_PATIENCE_MS);
    signal.addEventListener('abort', giveUp);
    socket.on('error', giveUp);
    socket.on('close', giveUp);
    socket.on('message', (data: Buffer) => {
      const message = JSON.parse(data.toString()) as { type: string; id?: string; status?: string };
      if (message.type === 'hello') socket.send(JSON.stringify({ type: 'watch', purchase: id }));
      if (message.type !== 'purchase' || message.id !== id) return;
      if (ENDINGS.includes(message.status ?? '')) done(message.status as Ending);
    });
  });
}

/** Asked again: not open yet, in flight, too many, briefly unavailable, broken on the way. */
function shouldRetry(reply: Reply): boolean {
  return [425, 429, 500, 502, 503, 504].includes(reply.status) || codeOf(reply) === 'purchase_in_flight';
}

const codeOf = (reply: Reply): string => {
  const code = reply.body['code'];
  return typeof code === 'string' ? code : `status_${reply.status}`;
};

function toAnswer(reply: Reply): Answer {
  const { id, held } = reply.body;
  if (reply.status === 202 && typeof id === 'string') return { kind: 'reserved', id };
  if (codeOf(reply) === 'sold_out') return { kind: 'soldOut', held: typeof held === 'number' ? held : 0 };
  return { kind: 'rejected', code: codeOf(reply) };
}
