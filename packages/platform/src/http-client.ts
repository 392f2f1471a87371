/** Calls between our own services: JSON, text and NDJSON over HTTP, each with a deadline. */
import { DeadlineError } from './deadline.ts';

/** An answer other than 2xx. `body` is its text, cut to 4 KiB. */
export class HttpError extends Error {
  readonly status: number;
  readonly body: string;
  constructor(what: string, status: number, body: string) {
    super(`${what} answered ${status}: ${body.slice(0, 200)}`);
    this.name = 'HttpError';
    this.status = status;
    this.body = body;
  }
}

/** Longest line of an NDJSON answer, in characters. */
const MAX_LINE = 1_048_576;

export interface InternalClient {
  /** Undefined where the answer has no body (204). */
  json<T>(method: string, path: string, body?: unknown): Promise<T>;
  text(method: string, path: string, body?: unknown): Promise<string>;
  /** One value a line, as they come; the deadline is for each piece, not for the whole answer. */
  lines<T>(path: string): AsyncIterable<T>;
}

/**
 * A client for one service of ours. `deadlineMs` (5 s) covers a call with its body.
 * Throws HttpError for an answer other than 2xx and DeadlineError for one that is late.
 */
export function internalClient(baseUrl: string, deadlineMs = 5_000): InternalClient {
  const call = async (method: string, path: string, body: unknown, signal: AbortSignal): Promise<Response> => {
    const init: RequestInit = { method, signal };
    if (body !== undefined) {
      init.body = JSON.stringify(body);
      init.headers = { 'Content-Type': 'application/json' };
    }
    const response = await fetch(new URL(path, baseUrl), init);
    if (!response.ok)
      throw new HttpError(`${method} ${path}`, response.status, (await response.text()).slice(0, 4_096));
    return response;
  };
  const text = async (method: string, path: string, body?: unknown): Promise<string> => {
    try {
      return await (await call(method, path, body, AbortSignal.timeout(deadlineMs))).text();
    } catch (error) {
      throw isTimeout(error) ? new DeadlineError(`${method} ${path}`, deadlineMs) : error;
    }
  };
  return {
    text,
    json: async <T>(method: string, path: string, body?: unknown): Promise<T> => {
      const answer = await text(method, path, body);
      return (answer === '' ? undefined : JSON.parse(answer)) as T;
    },
    lines: async function* <T>(path: string): AsyncGenerator<T> {
      const patience = new Patience(`GET ${path}`, deadlineMs);
      try {
        const response = await call('GET', path, undefined, patience.signal);
        for await (const line of splitLines(response.body ?? emptyBody(), patience)) yield JSON.parse(line) as T;
      } finally {
        patience.end();
      }
    },
  };
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.name === 'TimeoutError';
}

async function* emptyBody(): AsyncGenerator<Uint8Array> {
  // Nothing to read.
}

/** A deadline that starts anew with each piece that arrives, and rests while the reader is busy. */
class Patience {
  readonly #abort = new AbortController();
  readonly #what: string;
  readonly #ms: number;
  #timer: NodeJS.Timeout | undefined;
  constructor(what: string, ms: number) {
    this.#what = what;
    this.#ms = ms;
    this.start();
  }
  get signal(): AbortSignal {
    return this.#abort.signal;
  }
  start(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#abort.abort(new DeadlineError(this.#what, this.#ms));
    }, this.#ms);
  }
  rest(): void {
    clearTimeout(this.#timer);
  }
  /** Also cancels an answer that the reader left before its end. */
  end(): void {
    this.rest();
    this.#abort.abort();
  }
}

async function* splitLines(body: AsyncIterable<Uint8Array>, patience: Patience): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of body) {
    patience.rest();
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > MAX_LINE) throw new Error(`a line of more than ${MAX_LINE} characters`);
    for (const line of lines) if (line !== '') yield line;
    patience.start();
  }
  if (rest !== '') yield rest;
}
