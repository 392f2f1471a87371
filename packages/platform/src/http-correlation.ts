/** Correlation ids: one name for a request through every service, log line and event. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

const SANE = /^[A-Za-z0-9._-]{1,128}$/;

/** The caller's X-Correlation-Id where it is safe to log and to pass on, else a new one. */
export function correlationIdOf(req: IncomingMessage): string {
  const given = req.headers['x-correlation-id'];
  return typeof given === 'string' && SANE.test(given) ? given : randomUUID();
}
