/** The way of a request through the edge to a service and back, ahead of Express: every purchase takes it. */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { Pool, type Dispatcher } from 'undici';
import { correlationIdOf, sendProblem, type HotRoute } from '@flashsale/platform/http';
import { Counter } from '@flashsale/platform/metrics';
import type { Part } from '@flashsale/platform/run';
import { SaleError } from '@flashsale/sale';
import { headersForClient, headersForUpstream } from './headers.ts';
import { routeOf, UPSTREAMS, type Upstream } from './routes.ts';

/** Connections to one service. At 5 ms an answer, 128 carry 25,000 requests a second. */
const CONNECTIONS = 128;
/** Requests to one service that wait or run; beyond it they are refused at once instead of all being late. */
const MAX_PENDING = 4096;
/** The services' own limit; larger bodies end here. */
const MAX_BODY = 65_536;
const CONNECT_MS = 1_000;

const answers = new Counter({
  name: 'edge_requests_total',
  help: 'Requests passed to a service, by what became of them.',
  labelNames: ['upstream', 'outcome'],
});
type Outcome = 'answered' | 'late' | 'down' | 'full' | 'left';

export interface Proxy extends Part {
  readonly hot: HotRoute;
}

/** `deadlineMs`: from the whole request to the head of its answer, and between two pieces of the answer. */
export function createProxy(urls: Readonly<Record<Upstream, string>>, deadlineMs: number): Proxy {
  const ways = new Map(UPSTREAMS.map((name) => [name, new Way(name, urls[name], deadlineMs)]));
  return {
    name: 'proxy',
    hot: (req, res) => {
      const url = req.url ?? '/';
      const query = url.indexOf('?');
      const name = routeOf(query === -1 ? url : url.slice(0, query));
      const way = name && ways.get(name);
      way?.take(req, res);
      return way !== undefined;
    },
    stop: async () => {
      await Promise.all([...ways.values()].map((way) => way.destroy()));
    },
  };
}

/** The pool of connections to one service. */
class Way {
  readonly #name: Upstream;
  readonly #pool: Pool;
  readonly #deadlineMs: number;
  #pending = 0;

  constructor(name: Upstream, url: string, deadlineMs: number) {
    this.#name = name;
    this.#deadlineMs = deadlineMs;
    this.#pool = new Pool(new URL(url).origin, {
      connections: CONNECTIONS,
      pipelining: 1,
      connectTimeout: CONNECT_MS,
      headersTimeout: 0, // Ours below also counts the wait for a connection.
      bodyTimeout: deadlineMs,
      allowH2: false,
    });
  }

  destroy(): Promise<void> {
    return this.#pool.destroy();
  }

  take(req: IncomingMessage, res: ServerResponse): void {
    if (this.#pending >= MAX_PENDING) {
      this.#count('full');
      sendProblem(res, later('Too many requests are waiting.'), req.url);
      return;
    }
    if (req.headers['content-length'] === undefined && req.headers['transfer-encoding'] === undefined) {
      this.#send(req, res, null);
      return;
    }
    readBody(req, (body) => {
      if (body) this.#send(req, res, body);
      else sendProblem(res, new SaleError('payload_too_large', 'The request body may have 64 KiB at most.'), req.url);
    });
  }

  #send(req: IncomingMessage, res: ServerResponse, body: Buffer | null): void {
    this.#pending++;
    const correlationId = correlationIdOf(req);
    const exchange = new Exchange(req, res, correlationId, this.#deadlineMs, (outcome) => {
      this.#pending--;
      this.#count(outcome);
    });
    const headers = headersForUpstream(req, correlationId);
    const options = { method: req.method ?? 'GET', path: req.url ?? '/', headers, body };
    this.#pool.dispatch(options, exchange);
  }

  #count(outcome: Outcome): void {
    answers.inc({ upstream: this.#name, outcome });
  }
}

/** One request on its way: passes the answer on piece by piece, at the pace of the client. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly #req: IncomingMessage;
  readonly #res: ServerResponse;
  readonly #correlationId: string;
  readonly #done: (outcome: Outcome) => void;
  readonly #timer: NodeJS.Timeout;
  #controller: Dispatcher.DispatchController | undefined;
  /** Bytes still to come, where the service said how many. */
  #rest = Number.NaN;
  #over = false;

  constructor(
    req: IncomingMessage,
    res: ServerResponse,
    correlationId: string,
    deadlineMs: number,
    done: (outcome: Outcome) => void,
  ) {
    this.#req = req;
    this.#res = res;
    this.#correlationId = correlationId;
    this.#done = done;
    this.#timer = setTimeout(() => this.#fail('late', 'The service took too long.'), deadlineMs);
    res.once('close', () => {
      if (!res.writableFinished) this.#fail('left', 'The client left.');
    });
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    // The deadline or the client's leave came while this waited for a connection.
    if (this.#over) controller.abort(new Error('no longer wanted'));
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (this.#over || status < 200) return;
    clearTimeout(this.#timer);
    this.#rest = Number(headers['content-length']);
    this.#res.writeHead(status, headersForClient(headers));
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#over) return;
    if (chunk.length === this.#rest) {
      // Head, body and end in one write: most answers are one small piece.
      this.#finish('answered');
      this.#res.end(chunk);
      return;
    }
    this.#rest -= chunk.length;
    if (this.#res.write(chunk)) return;
    controller.pause();
    this.#res.once('drain', () => controller.resume());
  }

  onResponseEnd(): void {
    if (this.#over) return;
    this.#finish('answered');
    this.#res.end();
  }

  onResponseError(): void {
    this.#fail('down', 'The service does not answer.');
  }

  #fail(outcome: Outcome, detail: string): void {
    if (this.#over) return;
    this.#finish(outcome);
    // Cuts the connection where the head went out already: the client must not take half an answer for a whole one.
    if (outcome !== 'left') {
      if (!this.#res.headersSent) this.#res.setHeader('X-Correlation-Id', this.#correlationId);
      sendProblem(this.#res, later(detail), this.#req.url?.split('?', 1)[0]);
    }
    this.#controller?.abort(new Error(detail));
  }

  #finish(outcome: Outcome): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#done(outcome);
  }
}

const later = (detail: string): SaleError => new SaleError('try_again_later', detail);

/** Calls back with the whole body, or with undefined as soon as it is too large. Never where the client leaves before. */
function readBody(req: IncomingMessage, done: (body: Buffer | undefined) => void): void {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const onData = (chunk: Buffer): void => {
    bytes += chunk.length;
    if (bytes <= MAX_BODY) {
      chunks.push(chunk);
      return;
    }
    req.off('data', onData).off('end', onEnd);
    req.resume();
    done(undefined);
  };
  const onEnd = (): void => done(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks));
  req.on('data', onData).on('end', onEnd);
}
