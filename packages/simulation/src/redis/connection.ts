/** A process' connections to the simulated Redis: what `connectRedis` is to a real one. */
import type { RedisConnection } from '@flashsale/platform/redis';
import { mapRedisError } from '@flashsale/platform/redis-errors';
import { SaleError } from '@flashsale/sale';
import type { Life } from '../life.ts';
import type { Network, Store } from '../network.ts';
import type { PubSub } from './pub-sub.ts';
import type { RedisServer } from './server.ts';

/** As in redis-connection.ts of packages/platform. */
const COMMAND_MS = 900;

export const REDIS: Store = {
  name: 'redis',
  deadlineMs: COMMAND_MS,
  unreachable: () => new SaleError('try_again_later', 'The stock cannot be reached right now'),
};

interface Options {
  readonly network: Network;
  readonly server: RedisServer;
  readonly pubSub: PubSub;
  /** The node that has a key; each has a connection of its own. */
  readonly nodeOf: (key: string) => number;
}

/** Same promises as `RedisConnection` of packages/platform: commands of one connection in order, each with a deadline. */
export function connectSimulatedRedis(life: Life, { network, server, pubSub, nodeOf }: Options): RedisConnection {
  const send = <T>(what: string, key: string, effect: () => unknown, detail: () => string): Promise<T> =>
    network
      .call(life, REDIS, what, effect as () => T, { lane: `redis ${nodeOf(key)}`, detail })
      .catch((error: unknown) => {
        throw mapRedisError(error);
      });
  return {
    name: 'redis',
    command: (name, ...args) =>
      send(
        name,
        keyOf(name, args),
        () => server.command(name, args),
        () => args.slice(0, 3).join(' '),
      ),
    run: (script, keys, args) =>
      send(
        script.name,
        keys[0] ?? '',
        () => server.run(script, keys, args),
        () => shown(keys, args),
      ),
    subscriber: {
      async listen(channel, listener) {
        await network.call(life, REDIS, 'SUBSCRIBE', () => pubSub.subscribe(life, channel, listener), {
          detail: () => channel,
        });
        return () => {
          pubSub.unsubscribe(life, channel, listener);
          return Promise.resolve();
        };
      },
      stop: () => Promise.resolve(),
    },
    ready: () => true,
    start: () => Promise.resolve(),
    stop: () => Promise.resolve(),
  };
}

/** The key that says which node is asked. */
function keyOf(name: string, args: readonly (string | number)[]): string {
  if (name === 'XREADGROUP') return String(args[args.indexOf('STREAMS') + 1]);
  return String(args[0] ?? '');
}

const shown = (keys: readonly string[], args: readonly (string | number)[]): string =>
  `${keys[0]?.replace(/:[a-z]+$/, '') ?? ''} ${args
    .filter((arg) => !String(arg).includes('\n'))
    .slice(0, 9)
    .join(' ')}`;
