/** Which headers pass the edge, in both directions. */
import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import type { TLSSocket } from 'node:tls';

/** For one connection only (RFC 9110 section 7.6.1), never passed on. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
/** Set anew for the service: by the edge, or by the client that sends the request on. */
const REPLACED = new Set(['host', 'content-length', 'expect', 'forwarded', 'x-correlation-id', 'x-real-ip']);
/** Who somebody is, is said by a token alone. A service that trusts such a header must never get it from outside. */
const FORGEABLE = ['x-user-', 'x-buyer-', 'x-forwarded-'];

function passes(name: string, named: ReadonlySet<string>): boolean {
  if (HOP_BY_HOP.has(name) || REPLACED.has(name) || named.has(name)) return false;
  return name.charCodeAt(0) !== 120 || !FORGEABLE.some((prefix) => name.startsWith(prefix)); // 'x'
}

const NONE: ReadonlySet<string> = new Set();

/** Headers that the Connection header names: hop by hop too. */
function namedBy(connection: string | undefined): ReadonlySet<string> {
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return NONE;
  return new Set(connection.split(',').map((token) => token.trim().toLowerCase()));
}

/** The headers for the service, as a flat list of names and values. */
export function headersForUpstream(req: IncomingMessage, correlationId: string): string[] {
  const { rawHeaders, headers, socket } = req;
  const named = namedBy(headers.connection);
  const out: string[] = [];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] as string).toLowerCase();
    if (passes(name, named)) out.push(name, rawHeaders[i + 1] as string);
  }
  out.push('x-forwarded-for', socket.remoteAddress ?? '');
  out.push('x-forwarded-proto', (socket as Partial<TLSSocket>).encrypted === true ? 'https' : 'http');
  out.push('x-forwarded-host', headers.host ?? '');
  out.push('x-correlation-id', correlationId);
  return out;
}

/** The headers of an answer, for the client. */
export function headersForClient(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  const named = namedBy(headers.connection);
  const out: OutgoingHttpHeaders = {};
  for (const name in headers) if (!HOP_BY_HOP.has(name) && !named.has(name)) out[name] = headers[name];
  return out;
}
