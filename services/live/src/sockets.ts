/** The WebSocket side of the live server: from the upgrade request to the close. */
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocketServer, type RawData, type WebSocket } from 'ws';
import type { Part } from '@flashsale/platform/run';
import { Connection } from './connection.ts';
import { originAllowed, refuse, ticketOf } from './gate.ts';
import type { Hub } from './hub.ts';
import { parseClientMessage } from './messages.ts';
import type { LocalPresence } from './presence.ts';

export const LIVE_PATH = '/api/v1/live';
const MAX_PAYLOAD_BYTES = 4096;
/** Clients told to leave are asked to come back within this, each at a random time. */
const RECONNECT_WITHIN_MS = 5_000;
/** How long a drain waits for the closing handshakes. */
const CLOSE_MS = 2_000;
/** Service Restart (IANA WebSocket close codes), policy violation, internal error (RFC 6455). */
const RESTART = 1012;
const POLICY = 1008;

export interface SocketOptions {
  readonly serverId: string;
  readonly hub: Hub;
  readonly presence: LocalPresence;
  readonly redeem: (ticket: string) => Promise<{ buyer?: string } | undefined>;
  readonly origins: ReadonlySet<string>;
  readonly maxConnections: number;
  readonly onError: (error: unknown) => void;
}

export class Sockets implements Part {
  readonly name = 'sockets';
  readonly #options: SocketOptions;
  readonly #server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: MAX_PAYLOAD_BYTES,
    // Frames are written past ws (see Connection), and the messages are too small to gain from it.
    perMessageDeflate: false,
  });
  /** Connections open or being opened. */
  #taken = 0;
  #draining = false;

  constructor(options: SocketOptions) {
    this.#options = options;
  }

  attach(server: Server): void {
    server.on('upgrade', (req, socket, head) => {
      socket.on('error', () => socket.destroy());
      this.#admit(req, socket, head).catch((error: unknown) => {
        this.#options.onError(error);
        refuse(socket, 503);
      });
    });
  }

  ready(): boolean {
    return !this.#draining;
  }

  /** Tells every client to come back elsewhere at a random time, and waits for the closing handshakes. */
  async drain(): Promise<void> {
    this.#draining = true;
    const { hub, presence } = this.#options;
    for (const { socket } of hub.connections) {
      socket.close(RESTART, JSON.stringify({ reconnectInMs: Math.round(Math.random() * RECONNECT_WITHIN_MS) }));
    }
    const end = Date.now() + CLOSE_MS;
    while (hub.connections.size > 0 && Date.now() < end) await sleep(20);
    for (const { socket } of hub.connections) socket.terminate();
    await presence.settled();
  }

  async #admit(req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const ticket = ticketOf(req, LIVE_PATH);
    const refused = this.#refusal(req, ticket);
    if (refused !== undefined || ticket === undefined) {
      refuse(socket, refused ?? 404);
      return;
    }
    this.#taken++;
    // Frees the place whatever becomes of the connection: a socket closes exactly once.
    socket.once('close', () => this.#taken--);
    const subject = ticket === '' ? undefined : await this.#options.redeem(ticket);
    if (subject) await this.#open(req, socket, head, subject.buyer);
    else refuse(socket, 401);
  }

  #refusal(req: IncomingMessage, ticket: string | undefined): 403 | 404 | 503 | undefined {
    if (ticket === undefined) return 404;
    if (!originAllowed(req, this.#options.origins)) return 403;
    return this.#draining || this.#taken >= this.#options.maxConnections ? 503 : undefined;
  }

  /** Registers the buyer before the upgrade is answered: once a client hears hello, a push finds it. */
  async #open(req: IncomingMessage, socket: Duplex, head: Buffer, buyer: string | undefined): Promise<void> {
    const { presence } = this.#options;
    if (buyer !== undefined) {
      await presence.join(buyer);
      if (socket.destroyed) {
        presence.leave(buyer);
        return;
      }
      socket.once('close', () => {
        presence.leave(buyer);
      });
    }
    if (this.#draining) refuse(socket, 503);
    else this.#server.handleUpgrade(req, socket, head, (ws) => this.#greet(ws, socket, buyer));
  }

  #greet(webSocket: WebSocket, raw: Duplex, buyer: string | undefined): void {
    const { hub, serverId } = this.#options;
    const connection = new Connection(webSocket, raw, buyer);
    webSocket.on('error', () => webSocket.terminate());
    webSocket.on('close', () => hub.remove(connection));
    webSocket.on('message', (data, isBinary) => this.#onMessage(connection, data, isBinary));
    hub.add(connection, serverId);
  }

  #onMessage(connection: Connection, data: RawData, isBinary: boolean): void {
    const message = isBinary ? undefined : parseClientMessage(data);
    if (!connection.countMessage() || !message) {
      connection.socket.close(POLICY, message ? 'too many messages' : 'send {"type":"watch","purchase":"…"}');
      return;
    }
    this.#options.hub.watch(connection, message.purchase).catch((error: unknown) => {
      this.#options.onError(error);
      connection.send({ type: 'problem', code: 'try_again_later', purchase: message.purchase });
    });
  }
}
