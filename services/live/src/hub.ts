/** All connections of this server: who hears what. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { parsePurchaseId, type BroadcastMessage, type BuyerUpdate } from '@flashsale/sale';
import { Broadcasts } from './broadcasts.ts';
import { Connection } from './connection.ts';
import type { SharedBody } from './frame.ts';
import type { PresentPurchase, PresentState } from './present.ts';

/** Connections written to before others get a turn: about 12 ms. */
const TURN = 1000;
/** Look-ups in Redis at a time when every watched purchase is sent again. */
const LOOKUPS = 32;

export interface HubOptions {
  readonly presentState: PresentState;
  /** A look-up or a broadcast failed; nothing else depends on it. */
  readonly onError: (error: unknown) => void;
  /** A client was too slow and was dropped. */
  readonly onDropped: () => void;
}

export class Hub {
  readonly connections = new Set<Connection>();
  readonly #options: HubOptions;
  readonly #byBuyer = new Map<string, Set<Connection>>();
  readonly #broadcasts: Broadcasts;

  constructor(options: HubOptions) {
    this.#options = options;
    this.#broadcasts = new Broadcasts((body) => void this.#toAll(body).catch(options.onError));
  }

  /** Greets a connection, tells it the last known state of the sales, and lets it hear what comes. */
  add(connection: Connection, serverId: string): void {
    this.connections.add(connection);
    if (connection.buyer !== undefined) {
      const own = this.#byBuyer.get(connection.buyer) ?? new Set();
      this.#byBuyer.set(connection.buyer, own.add(connection));
    }
    connection.send({ type: 'hello', serverId });
    for (const body of this.#broadcasts.snapshot()) connection.sendShared(body);
  }

  remove(connection: Connection): void {
    this.connections.delete(connection);
    if (connection.buyer === undefined) return;
    const own = this.#byBuyer.get(connection.buyer);
    own?.delete(connection);
    if (own?.size === 0) this.#byBuyer.delete(connection.buyer);
  }

  /** Pushes of purchases, each to every connection of its buyer. */
  deliver(updates: readonly BuyerUpdate[]): void {
    for (const { buyer, purchase } of updates) {
      for (const connection of this.#byBuyer.get(buyer) ?? []) {
        connection.lookups.delete(purchase.id);
        connection.send({ type: 'purchase', ...purchase });
      }
    }
  }

  broadcast(message: BroadcastMessage): void {
    this.#broadcasts.take(message);
  }

  /**
   * Watches a purchase and sends its present state, unless something newer was sent while it was looked up. To anyone
   * but its buyer it does not exist.
   */
  async watch(connection: Connection, id: string): Promise<void> {
    const ref = parsePurchaseId(id);
    const { purchase, isNewest } = await this.#lookUp(connection, id);
    if (!ref || purchase === undefined || purchase.buyer !== connection.buyer) {
      connection.watched.delete(id);
      connection.send({ type: 'problem', code: 'purchase_not_found', purchase: id });
      return;
    }
    connection.watch(id);
    if (!isNewest) return;
    const { sku, quantity, status, expiresAt } = purchase;
    const until = expiresAt === undefined ? {} : { expiresAt: new Date(expiresAt).toISOString() };
    connection.send({ type: 'purchase', id, sale: ref.sale, sku, quantity, status, ...until });
  }

  async #lookUp(
    { buyer, lookups }: Connection,
    id: string,
  ): Promise<{ readonly purchase: PresentPurchase | undefined; readonly isNewest: boolean }> {
    if (buyer === undefined || !parsePurchaseId(id)) return { purchase: undefined, isNewest: true };
    const mine = Symbol('look-up');
    lookups.set(id, mine);
    try {
      const purchase = await this.#options.presentState(id);
      return { purchase, isNewest: lookups.get(id) === mine };
    } finally {
      if (lookups.get(id) === mine) lookups.delete(id);
    }
  }

  /** After an interruption pushes may be missing: every watched purchase is looked up and sent again. */
  async resendWatched(): Promise<void> {
    const todo = [...this.connections].flatMap((connection) =>
      [...connection.watched].map((id) => ({ connection, id })),
    );
    const worker = async (): Promise<void> => {
      for (let next = todo.pop(); next; next = todo.pop()) {
        await this.watch(next.connection, next.id).catch(this.#options.onError);
      }
    };
    await Promise.all(Array.from({ length: LOOKUPS }, worker));
  }

  /** One heartbeat of every connection. */
  async beat(): Promise<void> {
    let turn = 0;
    for (const connection of this.connections) {
      connection.beat();
      if (++turn % TURN === 0) await nextTurn();
    }
  }

  stop(): void {
    this.#broadcasts.stop();
  }

  async #toAll(body: SharedBody): Promise<void> {
    let turn = 0;
    for (const connection of this.connections) {
      if (!connection.sendShared(body)) this.#options.onDropped();
      if (++turn % TURN === 0) await nextTurn();
    }
  }
}
