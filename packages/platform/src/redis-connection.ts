/** One connection to Redis, single or Cluster: deadlines, quick failure while it is away, endless bounded reconnects. */
import { Cluster, Redis } from 'ioredis';
import { SaleError } from '@flashsale/sale';
import type { RunScript } from '@flashsale/sale/scripts';
import { withDeadline } from './deadline.ts';
import type { Logger } from './log.ts';
import { mapRedisError } from './redis-errors.ts';
import { createSubscriber, type Subscriber } from './redis-subscriber.ts';
import { parseRedisUrl, reconnectDelay } from './redis-url.ts';
import type { Part } from './run.ts';

/** Longest time a command may take, in ms, reconnects included. */
const COMMAND_MS = 900;
/** For how long after a loss commands wait for the reconnect; after that they fail at once. */
const GRACE_MS = 500;
/** Most commands that may wait for a reply. Beyond it Redis is slower than the callers: they must back off. */
const MAX_PENDING = 10_000;
/** A connection that owes a reply and says nothing for this long is dead, whatever TCP believes: it is replaced. */
const SILENCE_MS = 2_000;
const START_MS = 10_000;
const STOP_MS = 1_000;

export interface RedisConnection extends Part {
  /**
   * Sends one command. ioredis sends unanswered commands again after a reconnect, so a command may run twice; every
   * caller's command must bear that. Throws SaleError `try_again_later` where Redis is away, busy or slower than 900 ms:
   * the command may or may not have been carried out.
   */
  command<T>(name: string, ...args: readonly (string | number)[]): Promise<T>;
  /** Runs a script by its digest, and by its text where the server does not know it. Same errors as `command`. */
  readonly run: RunScript;
  /** A connection of its own for Pub/Sub, opened at first use. */
  readonly subscriber: Subscriber;
  ready(): boolean;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** `url`: `redis://host:port[/db]` or `redis-cluster://h1:p1,h2:p2`. Connects at once and keeps trying for ever. */
export function connectRedis(url: string, log: Logger): RedisConnection {
  return new Connection(url, log);
}

class Connection implements RedisConnection {
  readonly name = 'redis';
  readonly subscriber: Subscriber;
  readonly #client: Redis | Cluster;
  #lostAt: number | undefined = Date.now();
  #pending = 0;
  #stopped = false;

  constructor(url: string, log: Logger) {
    this.#client = open(url);
    this.subscriber = createSubscriber(url, log);
    this.#client.on('ready', () => (this.#lostAt = undefined));
    this.#client.on('close', () => (this.#lostAt ??= Date.now()));
    // Without a listener an error event would end the process.
    this.#client.on('error', (error: unknown) => {
      log.warn({ err: error }, 'redis connection');
    });
  }

  command<T>(name: string, ...args: readonly (string | number)[]): Promise<T> {
    return this.#send<T>(name, args);
  }

  readonly run: RunScript = async (script, keys, args) => {
    try {
      return await this.#send('EVALSHA', [script.sha1, keys.length, ...keys, ...args]);
    } catch (error) {
      // The script cache does not outlive a failover or SCRIPT FLUSH. EVAL runs the text and caches it again.
      if (error instanceof Error && error.message.startsWith('NOSCRIPT'))
        return this.#send('EVAL', [script.text, keys.length, ...keys, ...args]);
      throw error;
    }
  };

  async #send<T>(name: string, args: readonly (string | number)[]): Promise<T> {
    if (this.#pending >= MAX_PENDING || this.#isAway()) {
      throw new SaleError('try_again_later', 'The stock cannot be reached right now');
    }
    this.#pending++;
    try {
      return await withDeadline(`redis ${name}`, COMMAND_MS, this.#client.call(name, ...args) as Promise<T>);
    } catch (error) {
      throw mapRedisError(error);
    } finally {
      this.#pending--;
    }
  }

  #isAway(): boolean {
    return this.#stopped || (this.#lostAt !== undefined && Date.now() - this.#lostAt > GRACE_MS);
  }

  ready(): boolean {
    return this.#client.status === 'ready' && !this.#stopped;
  }

  async start(): Promise<void> {
    if (this.ready()) return;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.#client.once('ready', () => {
      resolve(undefined);
    });
    await withDeadline('the first connection to redis', START_MS, promise);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.subscriber.stop();
    await withDeadline('redis quit', STOP_MS, this.#client.quit()).catch(() => 'gone already');
    this.#client.disconnect();
  }
}

function open(url: string): Redis | Cluster {
  const { cluster, nodes, common, db } = parseRedisUrl(url);
  const node = {
    ...common,
    connectTimeout: 2_000,
    socketTimeout: SILENCE_MS,
    // One reconnect for a command whose reply was lost; after a second failure it fails.
    maxRetriesPerRequest: 1,
    // After a failover behind one address, the old primary answers READONLY: connect anew and find the new one.
    reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
  };
  if (!cluster) return new Redis({ ...node, ...nodes[0], db, retryStrategy: reconnectDelay });
  return new Cluster(nodes, {
    redisOptions: node,
    clusterRetryStrategy: reconnectDelay,
    // No clusterNodeRetryStrategy: a node whose connection ends is forgotten, and the next command asks another who has
    // its slots now. One that is tried again and again keeps its slots, and nobody hears that a replica took over.
    slotsRefreshTimeout: 1_000,
    retryDelayOnFailover: 50,
    retryDelayOnClusterDown: 50,
  });
}
