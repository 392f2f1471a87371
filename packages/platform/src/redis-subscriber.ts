/** The Pub/Sub connection: one for all channels of a process, apart from the one for commands. */
import { Redis } from 'ioredis';
import { withDeadline } from './deadline.ts';
import type { Logger } from './log.ts';
import { mapRedisError } from './redis-errors.ts';
import { parseRedisUrl, reconnectDelay } from './redis-url.ts';

const SUBSCRIBE_MS = 5_000;
/** Who only listens does not notice that nothing comes through any more: it asks for a sign of life this often. */
const PING_EVERY_MS = 2_000;
/** No sign of life for this long: the connection is replaced. */
const SILENCE_MS = 2_000;

export interface Listener {
  onMessage(text: string): void;
  /** After an interruption: messages may have been missed. */
  onReset(): void;
}

export interface Subscriber {
  /** Resolves once the server has confirmed the channel. Returns what ends it. */
  listen(channel: string, listener: Listener): Promise<() => Promise<void>>;
  stop(): Promise<void>;
}

export function createSubscriber(url: string, log: Logger): Subscriber {
  const channels = new Map<string, Set<Listener>>();
  let client: Redis | undefined;
  let pings: NodeJS.Timeout | undefined;

  function connection(): Redis {
    if (client) return client;
    const opened = (client = open(url, log, channels));
    const ping = (): void => {
      // Unanswered, it ends the connection by its socket timeout.
      if (opened.status === 'ready') opened.ping().catch(() => undefined);
    };
    pings = setInterval(ping, PING_EVERY_MS);
    return opened;
  }

  return {
    async listen(channel, listener) {
      const listeners = channels.get(channel) ?? new Set<Listener>();
      channels.set(channel, listeners.add(listener));
      const end = async (): Promise<void> => {
        listeners.delete(listener);
        if (listeners.size > 0 || channels.get(channel) !== listeners) return;
        channels.delete(channel);
        // Where the connection is down there is nothing to end: only channels still listened to are asked for again.
        if (client?.status === 'ready') await client.unsubscribe(channel);
      };
      try {
        await withDeadline('redis SUBSCRIBE', SUBSCRIBE_MS, connection().subscribe(channel));
      } catch (error) {
        await end();
        throw mapRedisError(error);
      }
      return end;
    },
    stop() {
      clearInterval(pings);
      client?.disconnect();
      channels.clear();
      return Promise.resolve();
    },
  };
}

/** In a Cluster any node hears every message (the cluster bus), so one plain connection will do; it moves on when its node is away. */
function open(url: string, log: Logger, channels: Map<string, Set<Listener>>): Redis {
  const { nodes, common, db } = parseRedisUrl(url);
  let interrupted = false;
  const client = new Redis({
    ...common,
    ...nodes[0],
    db,
    connectTimeout: 2_000,
    socketTimeout: SILENCE_MS,
    maxRetriesPerRequest: null,
    // Ours below: only what is still listened to.
    autoResubscribe: false,
    retryStrategy(times) {
      Object.assign(client.options, nodes[times % nodes.length]);
      return reconnectDelay(times);
    },
  });
  client.on('message', (channel: string, text: string) => {
    for (const listener of channels.get(channel) ?? []) listener.onMessage(text);
  });
  client.on('close', () => (interrupted = true));
  client.on('ready', () => {
    if (!interrupted) return;
    interrupted = false;
    resubscribe(client, channels).catch((error: unknown) => {
      log.warn({ err: error }, 'redis resubscribe');
      client.disconnect(true);
    });
  });
  client.on('error', (error: unknown) => {
    log.warn({ err: error }, 'redis subscriber');
  });
  return client;
}

async function resubscribe(client: Redis, channels: Map<string, Set<Listener>>): Promise<void> {
  if (channels.size > 0) await withDeadline('redis SUBSCRIBE', SUBSCRIBE_MS, client.subscribe(...channels.keys()));
  for (const listeners of channels.values()) for (const listener of listeners) listener.onReset();
}
