/** HTTP to the API server: credentials from where they are kept, one pool of connections, deadlines. */
import type { RequestOptions } from 'node:https';
import { request, type Dispatcher } from 'undici';
import { ApiError, parseRetryAfter, type Status } from './api-error.ts';
import { readLines } from './lines.ts';

/** An answer that is longer than this is refused: the engine pages its lists. */
const MOST_BYTES = 64 * 1024 * 1024;

export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** With the query. */
  readonly path: string;
  readonly body?: unknown;
  readonly contentType?: string;
}

export interface Transport {
  /** The parsed answer. Throws ApiError where the server refuses, the signal's reason where that comes first. */
  json<T>(call: Call, signal: AbortSignal): Promise<T>;
  /** One parsed JSON value a line, as they come; `heard` is called for each piece of them. */
  stream<T>(call: Call, signal: AbortSignal, heard: () => void): Promise<AsyncIterable<T>>;
  /** Closes the connections, also those that are in use. */
  close(): Promise<void>;
}

/** Where an API server is, and how it lets us in. The official client's KubeConfig is one; `access.ts` has another. */
export interface ClusterAccess {
  getCurrentCluster(): { readonly server: string } | null;
  /** Sets the headers and the TLS options of a request; may ask somebody for a new token. */
  applyToHTTPSOptions(options: RequestOptions): Promise<void>;
  /** Sets the pool of connections. */
  applySecurityAuthentication(context: PoolContext): Promise<void>;
}

export interface PoolContext {
  setDispatcher(dispatcher: Dispatcher): void;
  setHeaderParam(name: string, value: string): void;
}

/** `config` is read at each call, so that tokens which it refreshes are used. */
export function createTransport(config: ClusterAccess, userAgent: string): Transport {
  const access = accessTo(config);
  const send = async (call: Call, signal: AbortSignal): Promise<Dispatcher.ResponseData> => {
    const { origin, headers, dispatcher } = await access.get();
    const body = call.body === undefined ? null : JSON.stringify(call.body);
    const response = await request(origin + call.path, {
      method: call.method,
      headers: {
        ...headers,
        accept: 'application/json',
        'user-agent': userAgent,
        ...(body === null ? {} : { 'content-type': call.contentType ?? 'application/json' }),
      },
      body,
      signal,
      ...(dispatcher === undefined ? {} : { dispatcher }),
      // The signal is the deadline; an own one of the pool would end quiet watches.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    if (response.statusCode < 300) return response;
    throw await refusal(call, response);
  };
  return {
    json: async <T>(call: Call, signal: AbortSignal) => {
      const response = await send(call, signal);
      return JSON.parse(await text(response.body)) as T;
    },
    stream: async <T>(call: Call, signal: AbortSignal, heard: () => void) => {
      const response = await send(call, signal);
      return parsed<T>(readLines(listened(response.body, heard)));
    },
    close: () => access.close(),
  };
}

interface Access {
  readonly origin: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly dispatcher: Dispatcher | undefined;
}

/**
 * The client makes a new pool, and so a new TLS connection, at every call of `applySecurityAuthentication`. Here one
 * pool is kept for as long as what it was made from is the same.
 */
function accessTo(config: ClusterAccess): { get(): Promise<Access>; close(): Promise<void> } {
  let kept: { readonly made: string; readonly dispatcher: Promise<Dispatcher | undefined> } | undefined;
  return {
    get: async () => {
      const cluster = config.getCurrentCluster();
      if (cluster === null) throw new Error('the kubeconfig has no current cluster');
      const options: WithHeaders = { headers: {} };
      await config.applyToHTTPSOptions(options);
      const made = [JSON.stringify(cluster), ...[options.ca, options.cert, options.key].map(String)].join('\n');
      // A pool of older credentials is let go, not closed: watches live on it, and idle connections end by themselves.
      if (kept?.made !== made) kept = { made, dispatcher: poolFor(config) };
      const using = kept;
      const dispatcher = await using.dispatcher.catch((error: unknown) => {
        // Credentials that could not be had are asked for again.
        if (kept === using) kept = undefined;
        throw error;
      });
      return { origin: cluster.server.replace(/\/$/, ''), headers: headersOf(options), dispatcher };
    },
    close: async () => {
      const dispatcher = await kept?.dispatcher;
      kept = undefined;
      await dispatcher?.destroy();
    },
  };
}

async function poolFor(config: ClusterAccess): Promise<Dispatcher | undefined> {
  let pool: Dispatcher | undefined;
  await config.applySecurityAuthentication({
    setDispatcher: (dispatcher) => (pool = dispatcher),
    // Headers are read at each call.
    setHeaderParam: () => undefined,
  });
  return pool;
}

type WithHeaders = Omit<RequestOptions, 'headers'> & { headers: Record<string, string> };

function headersOf({ headers, auth }: WithHeaders): Record<string, string> {
  return typeof auth !== 'string'
    ? headers
    : { ...headers, authorization: `Basic ${Buffer.from(auth).toString('base64')}` };
}

async function text(body: Dispatcher.ResponseData['body']): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MOST_BYTES) throw new Error(`the API server answered more than ${MOST_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

async function* listened(chunks: AsyncIterable<Uint8Array>, heard: () => void): AsyncIterable<Uint8Array> {
  for await (const chunk of chunks) {
    heard();
    yield chunk;
  }
}

async function* parsed<T>(lines: AsyncIterable<string>): AsyncIterable<T> {
  for await (const line of lines) yield JSON.parse(line) as T;
}

async function refusal(call: Call, response: Dispatcher.ResponseData): Promise<ApiError> {
  const what = `${call.method} ${call.path.split('?')[0] ?? ''}`;
  const header = response.headers['retry-after'];
  const retryAfterMs = parseRetryAfter(typeof header === 'string' ? header : header?.[0], new Date());
  const answer = await text(response.body).catch(() => '');
  return new ApiError(what, { ...statusIn(answer), code: response.statusCode }, retryAfterMs);
}

/** Proxies in between answer in their own words. */
function statusIn(answer: string): Status {
  try {
    const value: unknown = JSON.parse(answer);
    if (typeof value === 'object' && value !== null) return value;
  } catch {
    // Not JSON: its text is the message.
  }
  return { message: answer.slice(0, 200) };
}
