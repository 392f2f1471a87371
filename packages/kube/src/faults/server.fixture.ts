/** An API server over real HTTP that misbehaves as it is told: on the wire, in its answers, in its watches. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises';
import { KubeConfig } from '@kubernetes/client-node';
import { compareVersions, versionOf } from '../object.ts';
import { answerTo, type Sent, type Target } from './answers.fixture.ts';
import { expired, Refusal, Storage, type Change } from './storage.fixture.ts';

/** As the real one's. */
const BOOKMARK_MS = 60_000;

export interface Asked {
  readonly kind: 'list' | 'watch' | 'get' | 'write';
  readonly plural: string;
  readonly query: URLSearchParams;
}

interface Refused {
  readonly status: number;
  readonly message: string;
  /** Seconds. */
  readonly retryAfter?: number;
}

/** Everything that may be wrong at a time; what is absent is right. */
export interface Behaviour {
  /** Answers with an error. */
  readonly refuse?: (asked: Asked) => Refused | undefined;
  /** Breaks the connection: instead of an answer, or in the middle of it. */
  readonly cut?: (asked: Asked) => 'before' | 'amidst' | undefined;
  /** Sends everything in so many bytes at a time. */
  readonly pieces?: { readonly bytes: number; readonly everyMs: number };
  /** Gathers the events of a watch for so long, and sends them as arranged. */
  readonly arrange?: { readonly gatherMs: number; readonly as: (batch: readonly Change[]) => readonly Change[] };
  /** Ends each watch without an event, or after one bookmark, or with an ERROR event after that. */
  readonly end?: 'at once' | 'after a bookmark' | 'expired after a bookmark';
}

export class FaultyServer {
  readonly storage = new Storage();
  /** Every request so far. */
  readonly seen: Asked[] = [];
  /** Pieces that ended within a character. */
  cutCharacters = 0;
  #behaviour: Behaviour = {};
  readonly #sockets = new Set<Socket>();
  readonly #frozen = new WeakSet<Socket>();
  #server = this.#make();
  #port = 0;

  static async start(): Promise<FaultyServer> {
    const server = new FaultyServer();
    await server.#listen();
    return server;
  }

  get config(): KubeConfig {
    const config = new KubeConfig();
    // The client refuses plain HTTP without this.
    const cluster = { name: 'faulty', server: `http://127.0.0.1:${this.#port}`, skipTLSVerify: true };
    config.loadFromClusterAndUser(cluster, { name: 'nobody' });
    return config;
  }

  behave(behaviour: Behaviour): void {
    this.#behaviour = behaviour;
  }

  /** Breaks every connection. */
  reset(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** From now on the open connections stay open, and nothing comes through them; new ones work. */
  freeze(): void {
    for (const socket of this.#sockets) this.#frozen.add(socket);
  }

  /** As a process that ended: connections break, new ones are refused, the history is gone. */
  async crash(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.reset();
    await closed;
    this.storage.compact();
  }

  /** After a crash: listens again where it did. */
  async restart(): Promise<void> {
    this.#server = this.#make();
    await this.#listen();
  }

  async close(): Promise<void> {
    if (this.#server.listening) await this.crash();
  }

  #make(): Server {
    const server = createServer((request, response) => {
      void this.#answer(request, response).catch((error: unknown) => response.destroy(error as Error));
    });
    server.on('connection', (socket: Socket) => {
      socket.setNoDelay(true);
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    return server;
  }

  async #listen(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const sent = await sentIn(request);
    if (this.#isFrozen(response)) return;
    const asked = { kind: kindOf(sent), plural: sent.target.plural, query: sent.query };
    this.seen.push(asked);
    const cut = this.#behaviour.cut?.(asked);
    const refused = this.#behaviour.refuse?.(asked);
    if (cut === 'before') request.socket.resetAndDestroy();
    else if (refused) await this.#refuse(response, refused);
    else if (asked.kind === 'watch') await this.#watch(sent, response);
    else await this.#reply(sent, cut === 'amidst', response);
  }

  async #refuse(response: ServerResponse, { status, message, retryAfter }: Refused): Promise<void> {
    const headers = retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) };
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    await this.#write(response, JSON.stringify({ kind: 'Status', status: 'Failure', code: status, message }));
    this.#end(response);
  }

  async #reply(sent: Sent, amidst: boolean, response: ServerResponse): Promise<void> {
    let status = 200;
    let answer: unknown;
    try {
      answer = answerTo(this.storage, sent);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      answer = error.status;
      status = error.status.code ?? 500;
    }
    const text = JSON.stringify(answer);
    response.writeHead(status, { 'content-type': 'application/json' });
    await this.#write(response, amidst ? text.slice(0, text.length / 2) : text);
    if (amidst) response.socket?.resetAndDestroy();
    else this.#end(response);
  }

  async #watch({ target, query }: Sent, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    const seconds = Number(query.get('timeoutSeconds') ?? 300);
    const signal = AbortSignal.any([gone.signal, AbortSignal.timeout(seconds * 1000)]);
    const from = query.get('resourceVersion') ?? '';
    for await (const event of this.#events(target, from, signal)) {
      await this.#write(response, `${JSON.stringify(event)}\n`);
    }
    this.#end(response);
  }

  /** Until `signal` aborts, the history is dropped, or the behaviour has it end. */
  async *#events({ plural, namespace }: Target, from: string, signal: AbortSignal): AsyncIterable<object> {
    const { end } = this.#behaviour;
    if (end === 'after a bookmark' || end === 'expired after a bookmark') yield bookmark(from);
    if (end === 'expired after a bookmark') yield FORGOTTEN;
    let at = from;
    while (end === undefined && !signal.aborted) {
      const { version } = this.storage;
      const batch = await this.#batch(plural, namespace, at);
      yield* batch ?? [FORGOTTEN];
      if (batch === undefined) return;
      at = newestOf(batch, at);
      const waited = await this.#changed(version, AbortSignal.any([signal, AbortSignal.timeout(BOOKMARK_MS)]));
      if (!waited) yield bookmark(at);
    }
  }

  /** What is to be sent, as it is to be sent; undefined where the version is not remembered. */
  async #batch(plural: string, namespace: string | undefined, at: string): Promise<readonly Change[] | undefined> {
    try {
      const { arrange } = this.#behaviour;
      if (arrange && this.storage.since(plural, namespace, at).length > 0) await pause(arrange.gatherMs);
      const batch = this.storage.since(plural, namespace, at);
      return arrange?.as(batch) ?? batch;
    } catch (error) {
      if (error instanceof Refusal) return undefined;
      throw error;
    }
  }

  /** Resolves once there was a change after `version`, to false where `signal` aborts first. */
  #changed(version: string, signal: AbortSignal): Promise<boolean> {
    if (this.storage.version !== version) return Promise.resolve(true);
    return new Promise((done) => {
      const finish = (changed: boolean) => (): void => {
        off();
        signal.removeEventListener('abort', aborted);
        done(changed);
      };
      const aborted = finish(false);
      const off = this.storage.onChange(finish(true));
      signal.addEventListener('abort', aborted);
      if (signal.aborted) aborted();
    });
  }

  /** As the behaviour has it; nothing where the connection is frozen or gone. */
  async #write(response: ServerResponse, text: string): Promise<void> {
    const { pieces } = this.#behaviour;
    const bytes = Buffer.from(text);
    const size = pieces?.bytes ?? bytes.length;
    for (let from = 0; from < bytes.length; from += size) {
      if (this.#isFrozen(response) || response.destroyed) return;
      response.write(bytes.subarray(from, from + size));
      if (!pieces) return;
      // The byte that follows goes on with a character: 10xxxxxx (RFC 3629).
      if (((bytes[from + size] ?? 0) & 0xc0) === 0x80) this.cutCharacters += 1;
      // Each piece gets a turn of its own, or the reader would find several of them put together.
      await (pieces.everyMs > 0 ? pause(pieces.everyMs) : turn());
    }
  }

  #end(response: ServerResponse): void {
    if (!this.#isFrozen(response)) response.end();
  }

  #isFrozen({ socket }: ServerResponse): boolean {
    return socket !== null && this.#frozen.has(socket);
  }
}

const FORGOTTEN = { type: 'ERROR', object: expired().status };
const bookmark = (resourceVersion: string) => ({ type: 'BOOKMARK', object: { metadata: { resourceVersion } } });

function newestOf(batch: readonly Change[], at: string): string {
  return [at, ...batch.map(({ object }) => versionOf(object))].toSorted(compareVersions).at(-1) ?? at;
}

async function sentIn(request: IncomingMessage): Promise<Sent> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  const url = new URL(request.url ?? '', 'http://server');
  return {
    method: request.method ?? '',
    target: targetOf(url.pathname),
    query: url.searchParams,
    contentType: request.headers['content-type'] ?? '',
    body: Buffer.concat(chunks).toString(),
  };
}

/** `/api/v1/…` or `/apis/{group}/{version}/…`, then `namespaces/{namespace}` where there is one. */
function targetOf(path: string): Target {
  const parts = path.split('/').slice(1).map(decodeURIComponent);
  const rest = parts.slice(parts[0] === 'api' ? 2 : 3);
  const inNamespace = rest[0] === 'namespaces' && rest.length > 2;
  const [plural = '', name, subresource] = inNamespace ? rest.slice(2) : rest;
  return { plural, namespace: inNamespace ? rest[1] : undefined, name, subresource };
}

function kindOf({ method, target, query }: Sent): Asked['kind'] {
  if (method !== 'GET') return 'write';
  if (target.name !== undefined) return 'get';
  return query.get('watch') === 'true' ? 'watch' : 'list';
}
