/** Problem documents (RFC 9457): every error a caller can see, in one form. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ERRORS, SaleError, type ProblemMembers } from '@flashsale/sale';
import type { z } from 'zod';
import { DeadlineError } from './deadline.ts';

/** Seconds after which a caller may try again, where the error does not say; jitter doubles it at most. */
const RETRY_AFTER_S = 2;

/** What a problem document needs of a SaleError. A plain object will do: an Error's stack costs 10 µs of a refusal's 32. */
export type Problem = Pick<SaleError, 'code' | 'detail' | 'members'>;

/**
 * Sends `error` as `application/problem+json` and ends the response; `instance` is the path it is about.
 * `rate_limited` and `try_again_later` carry Retry-After in seconds: at least what the error says and at most twice
 * that, at random, so that refused callers do not return together. Where the head was sent already, cuts the connection.
 */
export function sendProblem(res: ServerResponse, error: Problem, instance?: string): void {
  if (res.headersSent) {
    res.destroy();
    return;
  }
  const { status } = ERRORS[error.code];
  const members: ProblemMembers = retryable(error)
    ? { ...error.members, retryAfter: retryAfter(error) }
    : error.members;
  const body = problemDocument(error, members, instance);
  const headers: Record<string, string | number> = {
    'Content-Type': 'application/problem+json',
    'Cache-Control': 'no-store',
    'Content-Length': Buffer.byteLength(body),
  };
  if (members.retryAfter !== undefined) headers['Retry-After'] = members.retryAfter;
  // RFC 9110 section 11.6.1: a 401 must name the scheme.
  if (status === 401) headers['WWW-Authenticate'] = 'Bearer';
  res.writeHead(status, headers);
  res.end(body);
}

/** The document as JSON, for a route that sends the same problem many times and keeps it. */
export function problemDocument(error: Problem, members: ProblemMembers = error.members, instance?: string): string {
  const { status, title } = ERRORS[error.code];
  return JSON.stringify({
    type: `/docs/errors#${error.code}`,
    title,
    status,
    detail: error.detail,
    instance,
    code: error.code,
    ...members,
  });
}

function retryable(error: Problem): boolean {
  return error.code === 'rate_limited' || error.code === 'try_again_later';
}

function retryAfter(error: Problem): number {
  const least = Math.max(1, error.members.retryAfter ?? RETRY_AFTER_S);
  return Math.ceil(least * (1 + Math.random()));
}

/** The coded error for whatever a handler threw. What is not known is `internal_error`, without its message. */
export function toSaleError(error: unknown): SaleError {
  if (error instanceof SaleError) return error;
  if (error instanceof DeadlineError) return new SaleError('try_again_later', 'A part of the platform was too slow.');
  // Express's own errors (http-errors): a path that cannot be decoded, for example.
  const { status } = (typeof error === 'object' && error !== null ? error : {}) as { status?: unknown };
  if (status === 400) return new SaleError('invalid_request', 'The request could not be read.');
  if (status === 413) return new SaleError('payload_too_large', 'The request body is too large.');
  if (status === 415) return new SaleError('unsupported_media_type', 'This media type is not taken here.');
  return new SaleError('internal_error', 'The error was logged; its correlation id is in X-Correlation-Id.');
}

/** The path a caller asked for, without the query: that may hold what is nobody's business. */
export function pathOf(req: IncomingMessage & { readonly originalUrl?: string }): string {
  return (req.originalUrl ?? req.url ?? '/').split('?', 1)[0] ?? '/';
}

/** Parses what a caller sent; throws SaleError('invalid_request') that names each field and what it should be. */
export function parseInput<S extends z.ZodType>(schema: S, input: unknown): z.infer<S> {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const errors = parsed.error.issues.map((issue) => ({
    field: issue.path.join('.') || 'body',
    message: issue.message,
  }));
  const fields = [...new Set(errors.map((error) => error.field))].join(', ');
  throw new SaleError('invalid_request', `Not valid: ${fields}.`, { errors });
}
