/** Reads JSON request bodies: for Express and for hot routes alike, with one limit and the same errors. */
import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { SaleError } from '@flashsale/sale';

/** Most bytes of a body. */
const MAX_BYTES = 65_536;
const JSON_TYPE = /^application\/([\w.-]+\+)?json\s*(;\s*charset="?utf-8"?\s*)?$/i;

/** Whether the request brings a body at all (RFC 9112 section 6.3). */
export function hasBody(req: IncomingMessage): boolean {
  const { 'content-length': length, 'transfer-encoding': encoding } = req.headers;
  return encoding !== undefined || (length !== undefined && length !== '0');
}

/** Whether the body is JSON in UTF-8 as it is; compressed bodies are not taken, so none can unpack to more than it shows. */
export function isJson(req: IncomingMessage): boolean {
  const type = req.headers['content-type'];
  if (type === undefined || req.headers['content-encoding'] !== undefined) return false;
  return type === 'application/json' || JSON_TYPE.test(type);
}

/**
 * Calls `done` once: with the parsed body, or with a SaleError: `unsupported_media_type`, `payload_too_large` (64 KiB),
 * `invalid_request`. A callback, because a promise would cost the hot path more than the parsing.
 */
export function readJson(req: IncomingMessage, done: (error: SaleError | undefined, body?: unknown) => void): void {
  if (!isJson(req)) {
    done(new SaleError('unsupported_media_type', 'Send the body as application/json in UTF-8, not compressed.'));
    return;
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  let ended = false;
  const end = (error: SaleError | undefined, body?: unknown): void => {
    if (ended) return;
    ended = true;
    done(error, body);
  };
  req.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    // The rest is read and thrown away, so that the caller gets the answer instead of a reset connection.
    if (bytes > MAX_BYTES) end(new SaleError('payload_too_large', 'The request body may have 64 KiB at most.'));
    else chunks.push(chunk);
  });
  req.on('end', () => {
    if (!ended) parse(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks), end);
  });
  req.on('error', () => end(new SaleError('invalid_request', 'The request body was cut off.')));
}

function parse(bytes: Buffer, end: (error: SaleError | undefined, body?: unknown) => void): void {
  let body: unknown;
  try {
    if (!isUtf8(bytes)) throw new SyntaxError('not UTF-8');
    body = JSON.parse(bytes.toString());
  } catch {
    end(new SaleError('invalid_request', 'The request body is not valid JSON.'));
    return;
  }
  end(undefined, body);
}
