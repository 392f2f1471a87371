/** One WebSocket: its own `seq`, what it watches, and how it is let go when it does not keep up. */
import type { Duplex } from 'node:stream';
import { WebSocket } from 'ws';
import { sharedBody, textFrame, type SharedBody } from './frame.ts';

/** Bytes that may wait for a slow client; beyond that it is dropped, and gets a snapshot when it comes back. */
export const MAX_BUFFERED_BYTES = 256 * 1024;
/** Purchases one connection may watch. */
export const MAX_WATCHED = 16;
/** Messages a client may send in one heartbeat interval. */
export const MAX_MESSAGES = 60;

export class Connection {
  readonly socket: WebSocket;
  /** Undefined: anonymous, hears only stock and phase. */
  readonly buyer: string | undefined;
  readonly watched = new Set<string>();
  /** Purchases being looked up, each with its latest look-up. A push of the purchase takes it out: it is newer. */
  readonly lookups = new Map<string, symbol>();
  readonly #raw: Duplex;
  #seq = 0;
  #alive = true;
  #messages = 0;

  /** `raw` is the TCP socket under `socket`; per-message compression must be off, so that frames may be written to it. */
  constructor(socket: WebSocket, raw: Duplex, buyer: string | undefined) {
    this.socket = socket;
    this.buyer = buyer;
    this.#raw = raw;
    socket.on('pong', () => {
      this.#alive = true;
    });
  }

  send(message: object): void {
    this.sendShared(sharedBody(message));
  }

  /** Sends a message serialised once for many; false where the client was too slow and is dropped. */
  sendShared(body: SharedBody): boolean {
    if (this.socket.readyState !== WebSocket.OPEN) return true;
    if (this.#raw.writableLength > MAX_BUFFERED_BYTES) {
      this.socket.terminate();
      return false;
    }
    this.#raw.write(textFrame(++this.#seq, body));
    return true;
  }

  /** Remembers a purchase to send again after an interruption; the longest watched one makes room. */
  watch(purchase: string): void {
    this.watched.delete(purchase);
    this.watched.add(purchase);
    if (this.watched.size <= MAX_WATCHED) return;
    const oldest = this.watched.values().next();
    if (!oldest.done) this.watched.delete(oldest.value);
  }

  /** True where the client still may send in this interval. */
  countMessage(): boolean {
    return ++this.#messages <= MAX_MESSAGES;
  }

  /** One heartbeat: ends a connection that did not answer the last ping, else pings it. */
  beat(): void {
    this.#messages = 0;
    if (!this.#alive) {
      this.socket.terminate();
      return;
    }
    this.#alive = false;
    this.socket.ping();
  }
}
