/** The HTTP server of a service: hot route first, then Express on preset prototypes; drains without cutting a request. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { Express } from 'express';
import type { Logger } from './log.ts';
import { pathOf, sendProblem, toSaleError } from './http-problem.ts';
import { portOf } from './run-admin.ts';
import type { Part } from './run.ts';

export interface HttpPart extends Part {
  /** The real port once started. */
  readonly port: number;
  readonly server: Server;
}

/** True: it took the request and will answer it; runs ahead of Express. */
export type HotRoute = (req: IncomingMessage, res: ServerResponse) => boolean;

/** Idle connections live longer than a gateway keeps them (60 s), so that it never writes into one we just closed. */
const KEEP_ALIVE_MS = 65_000;
const HEADERS_MS = 5_000;
const REQUEST_MS = 15_000;
/** Longest wait for requests under way at a drain, in ms. */
const DRAIN_MS = 10_000;

/**
 * Serves `app` on `port` (0 picks a free one) of HOST (127.0.0.1 where unset). `drain` stops accepting, lets every
 * request under way finish (10 s at most) and closes each keep-alive connection as it falls idle.
 */
export function httpPart(options: { app: Express; port: number; log: Logger; hot?: HotRoute }): HttpPart {
  const { app, log, hot } = options;
  let port = options.port;
  let draining = false;

  const handle = (req: IncomingMessage, res: ServerResponse): void => {
    if (draining) res.shouldKeepAlive = false;
    if (hot && tookRequest(hot, req, res, log)) return;
    app(req as Parameters<Express>[0], res as Parameters<Express>[1]);
  };
  const server = createServer(
    {
      // Express then finds the prototypes it wants and changes none: a change costs each request 30 to 50 µs.
      IncomingMessage: app.request.constructor as typeof IncomingMessage,
      ServerResponse: app.response.constructor as typeof ServerResponse<IncomingMessage>,
      keepAliveTimeout: KEEP_ALIVE_MS,
      headersTimeout: HEADERS_MS,
      requestTimeout: REQUEST_MS,
      connectionsCheckingInterval: 5_000,
    },
    handle,
  );

  return {
    name: 'http',
    get port() {
      return port;
    },
    server,
    start: async () => {
      server.listen(port, process.env['HOST'] || '127.0.0.1');
      await once(server, 'listening');
      port = portOf(server);
    },
    ready: () => server.listening && !draining,
    drain: async () => {
      draining = true;
      if (server.listening) await closeServer(server);
    },
    stop: () => {
      server.close();
      server.closeAllConnections();
      return Promise.resolve();
    },
  };
}

function tookRequest(hot: HotRoute, req: IncomingMessage, res: ServerResponse, log: Logger): boolean {
  try {
    return hot(req, res);
  } catch (error) {
    const problem = toSaleError(error);
    const path = pathOf(req);
    if (problem.code === 'internal_error') log.error({ err: error, method: req.method, path }, 'the hot route failed');
    sendProblem(res, problem, path);
    return true;
  }
}

/** Resolves once every connection is closed; after DRAIN_MS it cuts what is left and resolves too. */
async function closeServer(server: Server): Promise<void> {
  let sweep: NodeJS.Timeout | undefined;
  let cut: NodeJS.Timeout | undefined;
  await new Promise<void>((resolve) => {
    server.close(() => {
      resolve();
    });
    // A connection falls idle after its last answer without an event of ours: look again and again.
    sweep = setInterval(() => {
      server.closeIdleConnections();
    }, 50);
    // Resolves on its own, because upgraded connections (WebSocket) keep the server open and are their owner's to close.
    cut = setTimeout(() => {
      server.closeAllConnections();
      resolve();
    }, DRAIN_MS);
  });
  clearInterval(sweep);
  clearTimeout(cut);
}
