/** The HTTP side of every service: one Express app with the same limits, errors and correlation ids. */
import { IncomingMessage, ServerResponse } from 'node:http';
import { SaleError } from '@flashsale/sale';
import express from 'express';
import type { ErrorRequestHandler, Express, Request, RequestHandler } from 'express';
import { hasBody, isJson, readJson } from './http-body.ts';
import { correlationIdOf } from './http-correlation.ts';
import { allowedMethods } from './http-methods.ts';
import { pathOf, sendProblem, toSaleError } from './http-problem.ts';
import { withCorrelationId, type Logger } from './log.ts';

export { Router } from 'express';
export type { Request, Response, Express, RequestHandler } from 'express';
export { readJson } from './http-body.ts';
export { HttpError, internalClient, type InternalClient } from './http-client.ts';
export { correlationIdOf } from './http-correlation.ts';
export { identityOf, requireIdentity } from './http-identity.ts';
export { parseInput, pathOf, problemDocument, sendProblem, toSaleError, type Problem } from './http-problem.ts';
export { httpPart, type HotRoute, type HttpPart } from './http-server.ts';

/**
 * An app that reads JSON bodies up to 64 KiB and gives each request its correlation id: in the answer's
 * X-Correlation-Id, in `res.locals.correlationId`, and in every line logged for it. A handler that reads `req.body`
 * of a request with another media type throws `unsupported_media_type`; one that does not may read the stream itself.
 */
export function createApp(log: Logger): Express {
  const app = express();
  presetPrototypes(app);
  // Each costs every request, and no client of ours uses them.
  app.disable('x-powered-by');
  app.disable('etag');
  if (log.isLevelEnabled('debug')) app.use(logEach(log));
  app.use(prepare);
  return app;
}

/** One line a request at level debug; at any other level it is not even in the way. */
function logEach(log: Logger): RequestHandler {
  return (req, res, next) => {
    const from = performance.now();
    res.once('close', () => {
      const correlationId = res.locals['correlationId'] as string | undefined;
      const ms = Math.round(performance.now() - from);
      log.debug({ correlationId, method: req.method, path: pathOf(req), status: res.statusCode, ms }, 'request');
    });
    next();
  };
}

/** Adds the answers for what no route took and for what a route threw. Call it after the last route. */
export function finishApp(app: Express, log: Logger): void {
  app.use((req, res) => {
    const methods = allowedMethods(app, req.path);
    if (methods.length === 0) throw new SaleError('not_found', 'Nothing is served at this path.');
    res.setHeader('Allow', methods.join(', '));
    throw new SaleError('method_not_allowed', `This path takes ${methods.join(', ')}.`);
  });
  // eslint-disable-next-line @typescript-eslint/no-unused-vars -- Express knows an error handler by its four parameters.
  const onError: ErrorRequestHandler = (error: unknown, req, res, _next) => {
    const problem = toSaleError(error);
    if (problem.code === 'internal_error')
      log.error({ err: error, method: req.method, path: pathOf(req) }, 'request failed');
    sendProblem(res, problem, pathOf(req));
  };
  app.use(onError);
}

/**
 * Makes the app's request and response prototypes those of classes that `httpPart` hands to the server, so that
 * Express's `Object.setPrototypeOf` on each request finds nothing to change.
 */
function presetPrototypes(app: Express): void {
  class AppRequest extends IncomingMessage {}
  class AppResponse extends ServerResponse {}
  Object.setPrototypeOf(AppRequest.prototype, express.request);
  Object.setPrototypeOf(AppResponse.prototype, express.response);
  const appProperty = { configurable: true, enumerable: true, writable: true, value: app };
  Object.defineProperty(AppRequest.prototype, 'app', appProperty);
  Object.defineProperty(AppResponse.prototype, 'app', appProperty);
  Object.assign(app, { request: AppRequest.prototype, response: AppResponse.prototype });
}

/** One middleware for all that every request needs: each more costs every request its turn in the router. */
const prepare: RequestHandler = (req, res, next) => {
  const correlationId = correlationIdOf(req);
  res.locals['correlationId'] = correlationId;
  res.setHeader('X-Correlation-Id', correlationId);
  if (!hasBody(req)) {
    withCorrelationId(correlationId, next);
  } else if (isJson(req)) {
    readJson(req, (error, body) => {
      req.body = body;
      // Here and not around the reading: a stream's events do not carry the context of who listens.
      withCorrelationId(correlationId, () => {
        next(error);
      });
    });
  } else {
    refuseBody(req);
    withCorrelationId(correlationId, next);
  }
};

/** Leaves the stream to a route with a parser of its own (forms, a proxy); any other fails when it reads `body`. */
function refuseBody(req: Request): void {
  Object.defineProperty(req, 'body', {
    configurable: true,
    get: () => {
      throw new SaleError('unsupported_media_type', 'Send the body as application/json in UTF-8, not compressed.');
    },
    set: (body: unknown) => Object.defineProperty(req, 'body', { configurable: true, writable: true, value: body }),
  });
}
