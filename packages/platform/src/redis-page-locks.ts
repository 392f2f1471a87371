/** Locks between processes, by redlock on one Redis: they save work and keep nothing exact. */
import Redlock from 'redlock';
import { keys, type PageLocks } from '@flashsale/sale';
import type { RedisConnection } from './redis-connection.ts';

/** A lock with less than this part of its lease left was too slow in coming: redlock may hand out such a one. */
const LEAST_LEFT = 0.5;

export function createPageLocks(redis: RedisConnection, prefix = ''): PageLocks {
  const redlock = new Redlock([clientOf(redis)], { retryCount: 0 });
  return {
    async tryLock(name, leaseMs) {
      try {
        const lock = await redlock.lock(keys.pageLock(prefix + name), leaseMs);
        const release = async (): Promise<void> => {
          // Fails where the lease ran out and another holds it now, or Redis is away: then it ends by itself.
          await Promise.resolve(lock.unlock()).catch(() => undefined);
        };
        if (lock.expiration - Date.now() >= leaseMs * LEAST_LEFT) return release;
        await release();
      } catch {
        // redlock says the same of a lock that another holds and of a server that is away.
      }
      return undefined;
    },
  };
}

/** redlock speaks the callbacks of an older client; each command keeps our connection's deadline. */
function clientOf(redis: RedisConnection) {
  type Done = (error: Error | null, result?: unknown) => void;
  const send = (name: string, args: readonly (string | number)[], done: Done): void => {
    redis.command(name, ...args).then(
      // Braces: what `done` really returns is a promise that redlock looks after itself.
      (result) => {
        done(null, result);
      },
      (error: unknown) => {
        done(error instanceof Error ? error : new Error(String(error)));
      },
    );
  };
  return {
    evalsha: (sha1: string, args: readonly (string | number)[], done: Done) => send('EVALSHA', [sha1, ...args], done),
    eval: (args: readonly (string | number)[], done: Done) => send('EVAL', args, done),
  };
}
