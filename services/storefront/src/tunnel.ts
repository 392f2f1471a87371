/** WebSockets through the edge: the upgrade is passed to the live service, then bytes flow both ways. */
import { request, type IncomingMessage, type Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { correlationIdOf } from '@flashsale/platform/http';
import type { Part } from '@flashsale/platform/run';
import { headersForUpstream } from './headers.ts';
import { LIVE_PATH } from './routes.ts';

export interface TunnelOptions {
  readonly liveUrl: string;
  /** Time the live service has to answer an upgrade, in ms. */
  readonly deadlineMs: number;
  readonly maxTunnels: number;
}

export class Tunnels implements Part {
  readonly name = 'tunnels';
  readonly #options: TunnelOptions;
  readonly #open = new Set<Duplex>();
  #draining = false;

  constructor(options: TunnelOptions) {
    this.#options = options;
  }

  attach(server: Server): void {
    // Node reads this at each request. An upgrade to anything else (HTTP/2, which some clients offer with every first
    // request) is an offer that may be ignored (RFC 9110 section 7.8): such a request is answered like any other.
    Object.assign(server, { shouldUpgradeCallback: isLiveSocket });
    server.on('upgrade', (req, socket: Duplex, head) => {
      socket.on('error', () => socket.destroy());
      if (this.#draining || this.#open.size >= this.#options.maxTunnels) refuse(socket, UNAVAILABLE);
      else this.#pass(req, socket, head);
    });
  }

  /** The live service says goodbye to its clients itself; where only the edge leaves, they find the line cut and return. */
  drain(): Promise<void> {
    this.#draining = true;
    for (const socket of this.#open) socket.destroy();
    return Promise.resolve();
  }

  #pass(req: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.#open.add(socket);
    socket.once('close', () => this.#open.delete(socket));
    const { liveUrl, deadlineMs } = this.#options;
    const { hostname, port } = new URL(liveUrl);
    const headers = [
      ...headersForUpstream(req, correlationIdOf(req)),
      'host',
      `${hostname}:${port}`,
      'connection',
      'Upgrade',
      'upgrade',
      'websocket',
    ];
    const upstream = request({ hostname, port, path: req.url, headers, agent: false });
    const timer = setTimeout(() => upstream.destroy(new Error('too late')), deadlineMs);
    socket.once('close', () => upstream.destroy());
    upstream.once('close', () => {
      clearTimeout(timer);
    });
    upstream.once('error', () => refuse(socket, UNAVAILABLE));
    upstream.once('response', (answer) => {
      refuse(socket, `${answer.statusCode} ${answer.statusMessage}`, answer.headers['retry-after']);
      upstream.destroy();
    });
    upstream.once('upgrade', (answer, far, farHead) => {
      clearTimeout(timer);
      socket.write(switching(answer));
      join(socket, head, far, farHead);
    });
    upstream.end();
  }
}

const UNAVAILABLE = '503 Service Unavailable';

function isLiveSocket(req: IncomingMessage): boolean {
  return req.url?.split('?', 1)[0] === LIVE_PATH && req.headers.upgrade?.toLowerCase() === 'websocket';
}

function switching(answer: IncomingMessage): string {
  const lines = ['HTTP/1.1 101 Switching Protocols'];
  for (let i = 0; i + 1 < answer.rawHeaders.length; i += 2) {
    lines.push(`${answer.rawHeaders[i]}: ${answer.rawHeaders[i + 1]}`);
  }
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** Either end's close closes the other; a slow end holds the other one back. */
function join(near: Duplex, nearHead: Buffer, far: Socket, farHead: Buffer): void {
  far.setNoDelay(true);
  far.on('error', () => near.destroy());
  near.once('close', () => far.destroy());
  far.once('close', () => near.destroy());
  if (nearHead.length > 0) near.unshift(nearHead);
  if (farHead.length > 0) far.unshift(farHead);
  far.pipe(near).pipe(far);
}

/** Ends a connection that is not upgraded. Does nothing where it is gone or was answered. */
function refuse(socket: Duplex, status: string, retryAfter = `${1 + Math.ceil(Math.random() * 4)}`): void {
  if (socket.writableEnded || socket.destroyed) return;
  const retry = status.startsWith('503') ? `Retry-After: ${retryAfter}\r\n` : '';
  socket.once('finish', () => socket.destroy());
  socket.end(`HTTP/1.1 ${status}\r\n${retry}Connection: close\r\nContent-Length: 0\r\n\r\n`);
}
