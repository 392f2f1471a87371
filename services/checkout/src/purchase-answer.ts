/** Writes the answers of the hot route: one head and one body each, with as little made anew as can be. */
import type { ServerResponse } from 'node:http';
import { problemDocument, sendProblem } from '@flashsale/platform/http';
import { ERRORS, type ErrorCode, type Hold, type SaleError } from '@flashsale/sale';

export interface To {
  readonly res: ServerResponse;
  readonly correlationId: string;
  readonly sale: string;
}

/** Refusals that a whole crowd gets word for word: their document is written once and kept with the error. */
const REPEATED: ReadonlySet<ErrorCode> = new Set(['sale_not_open', 'sold_out', 'limit_reached', 'sale_closed']);
const documents = new WeakMap<SaleError, { readonly sale: string; readonly text: string }>();

/** 202 with the hold as it is now. One that is paid in Redis is not confirmed: only the ledger says so, and is not asked here. */
export function sendHold({ res, correlationId, sale }: To, hold: Hold): void {
  const body = holdDocument(hold, sale);
  res.writeHead(202, [
    'Content-Type',
    'application/json',
    'Content-Length',
    String(Buffer.byteLength(body)),
    'Location',
    `/api/v1/purchases/${hold.id}`,
    'Cache-Control',
    'no-store',
    'X-Correlation-Id',
    correlationId,
  ]);
  res.end(body);
}

/** Ids and names of sales need no escaping (their form is checked where they are made); an sku may. */
function holdDocument({ id, sku, quantity, status, expiresAt }: Hold, sale: string): string {
  const known = status === 'paid' ? 'reserved' : status;
  const facts = `"sku":${quoted(sku)},"quantity":${quantity},"status":"${known}"`;
  return `{"id":"${id}","sale":"${sale}",${facts},"expiresAt":"${isoTime(expiresAt)}"}`;
}

let lastText = '';
let lastQuoted = '""';
/** A crowd mostly buys the same. */
function quoted(text: string): string {
  if (text !== lastText) {
    lastQuoted = JSON.stringify(text);
    lastText = text;
  }
  return lastQuoted;
}

let lastTime = 0;
let lastIso = new Date(0).toISOString();
/** The holds of a batch end at the same time, so it is mostly the one that was written last. */
function isoTime(time: number): string {
  if (time !== lastTime) {
    lastIso = new Date(time).toISOString();
    lastTime = time;
  }
  return lastIso;
}

export function sendRefusal({ res, correlationId, sale }: To, error: SaleError): void {
  if (!REPEATED.has(error.code) || res.headersSent) {
    if (!res.headersSent) res.setHeader('X-Correlation-Id', correlationId);
    // What is left of a body that is too large is not read: the connection ends with the answer.
    if (error.code === 'payload_too_large') res.shouldKeepAlive = false;
    sendProblem(res, error, instanceOf(sale));
    return;
  }
  const body = documentOf(error, sale);
  res.writeHead(ERRORS[error.code].status, [
    'Content-Type',
    'application/problem+json',
    'Content-Length',
    String(Buffer.byteLength(body)),
    'Cache-Control',
    'no-store',
    'X-Correlation-Id',
    correlationId,
  ]);
  res.end(body);
}

function documentOf(error: SaleError, sale: string): string {
  const known = documents.get(error);
  if (known?.sale === sale) return known.text;
  const text = problemDocument(error, error.members, instanceOf(sale));
  documents.set(error, { sale, text });
  return text;
}

function instanceOf(sale: string): string {
  return `/api/v1/sales/${sale}/purchases`;
}
