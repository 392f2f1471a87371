/** Who may open a WebSocket: origin, room, ticket. Answers a refusal as plain HTTP before the upgrade. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

/** Browsers always send Origin with a WebSocket; a page elsewhere must not connect with somebody's ticket. */
export function originAllowed(req: IncomingMessage, allowed: ReadonlySet<string>): boolean {
  const { origin } = req.headers;
  // No browser, so nobody else's page: the ticket alone decides.
  if (origin === undefined || allowed.has(origin)) return true;
  const forwarded = req.headers['x-forwarded-host'];
  const host = typeof forwarded === 'string' ? forwarded : req.headers.host;
  return URL.parse(origin)?.host === host;
}

/** What createTickets makes; anything else is not worth a look-up. */
const TICKET = /^[A-Za-z0-9_-]{32}$/;

/** The ticket in `?ticket=`, empty where it is none; undefined where the request is for something else. */
export function ticketOf(req: IncomingMessage, path: string): string | undefined {
  const url = URL.parse(req.url ?? '', 'http://live');
  if (url?.pathname !== path) return undefined;
  const ticket = url.searchParams.get('ticket') ?? '';
  return TICKET.test(ticket) ? ticket : '';
}

const REASONS = { 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found', 503: 'Service Unavailable' } as const;

/** Ends a connection that will not be upgraded. 503 carries a jittered Retry-After. */
export function refuse(socket: Duplex, status: keyof typeof REASONS): void {
  const retry = status === 503 ? `Retry-After: ${1 + Math.ceil(Math.random() * 4)}\r\n` : '';
  // The server's sockets may stay half open: without this a client that never closes would keep its place.
  socket.once('finish', () => socket.destroy());
  socket.end(`HTTP/1.1 ${status} ${REASONS[status]}\r\n${retry}Connection: close\r\nContent-Length: 0\r\n\r\n`);
}
