/** Pushes to buyers and signals to everyone over Pub/Sub, and the record of which live server a buyer is on. */
import { channels, keys } from '@flashsale/sale';
import type { BroadcastMessage, BuyerUpdate, Signals } from '@flashsale/sale';
import type { RedisConnection } from './redis-connection.ts';
import type { Part } from './run.ts';

/** Seconds for which a buyer counts as connected without a refresh. */
const PRESENCE_S = 90;
/** Buyers looked up, or refreshed, at once. */
const CHUNK = 200;

/** Sends one message to everyone. Returns how many heard it (on this node). */
export function publishMessage(redis: RedisConnection, message: BroadcastMessage): Promise<number> {
  return redis.command<number>('PUBLISH', channels.broadcast, JSON.stringify(message));
}

export function createSignals(redis: RedisConnection): Signals & Part {
  return {
    name: 'signals',
    async notifyBuyers(updates) {
      for (let from = 0; from < updates.length; from += CHUNK) await notify(redis, updates.slice(from, from + CHUNK));
    },
    async broadcast(message) {
      await publishMessage(redis, message);
    },
    subscribe: (onMessage, onReset) =>
      redis.subscriber.listen(channels.broadcast, {
        onMessage: (text) => onMessage(JSON.parse(text) as BroadcastMessage),
        onReset,
      }),
  };
}

async function notify(redis: RedisConnection, updates: readonly BuyerUpdate[]): Promise<void> {
  const buyers = [...new Set(updates.map(({ buyer }) => buyer))];
  const found = await Promise.all(buyers.map((buyer) => redis.command<string[]>('SMEMBERS', keys.presence(buyer))));
  const servers = new Map(buyers.map((buyer, i) => [buyer, found[i] ?? []]));
  const perServer = new Map<string, BuyerUpdate[]>();
  for (const update of updates) {
    for (const server of servers.get(update.buyer) ?? []) {
      const list = perServer.get(server) ?? [];
      perServer.set(server, list);
      list.push(update);
    }
  }
  const sends = [...perServer].map(([server, list]) =>
    redis.command('PUBLISH', channels.paymentUpdate(server), JSON.stringify(list)),
  );
  await Promise.all(sends);
}

export interface Presence {
  add(buyer: string): Promise<void>;
  remove(buyer: string): Promise<void>;
  /** Keeps the buyers' entries alive; to be called well within every 90 s. */
  refresh(buyers: Iterable<string>): Promise<void>;
  /** Calls `handler` with the updates for buyers on this server. Returns the unsubscribe. */
  onUpdate(handler: (updates: readonly BuyerUpdate[]) => void): Promise<() => Promise<void>>;
}

export function createPresence(redis: RedisConnection, serverId: string): Presence {
  const add = async (buyer: string): Promise<void> => {
    const key = keys.presence(buyer);
    await Promise.all([redis.command('SADD', key, serverId), redis.command('EXPIRE', key, PRESENCE_S)]);
  };
  return {
    add,
    async remove(buyer) {
      await redis.command('SREM', keys.presence(buyer), serverId);
    },
    async refresh(buyers) {
      const all = [...buyers];
      for (let from = 0; from < all.length; from += CHUNK) await Promise.all(all.slice(from, from + CHUNK).map(add));
    },
    onUpdate: (handler) =>
      redis.subscriber.listen(channels.paymentUpdate(serverId), {
        onMessage: (text) => handler(JSON.parse(text) as BuyerUpdate[]),
        // What was missed is read again by the buyer: GET /purchases/{id} always knows.
        onReset: () => undefined,
      }),
  };
}
