/** Correlation ids: one name for a request through every service, log line and event. */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

const SANE = /^[A-Za-z0-9._-]{1,128}$/;

/** 96 random bits of this process. Its ids name a request and guard nothing, so that they need not be random each. */
const PROCESS = randomBytes(12).toString('base64url');
/** Runs through all 32-bit numbers in an order that does not tell how many requests there were (Knuth's LCG). */
let last = randomBytes(4).readUInt32LE();

/** The caller's X-Correlation-Id where it is safe to log and to pass on, else a new one. */
export function correlationIdOf(req: IncomingMessage): string {
  const given = req.headers['x-correlation-id'];
  if (typeof given === 'string' && SANE.test(given)) return given;
  last = (Math.imul(last, 1_664_525) + 1_013_904_223) >>> 0;
  return `${PROCESS}.${last.toString(36)}`;
}
