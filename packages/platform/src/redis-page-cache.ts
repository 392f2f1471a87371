/** The pages of the catalog in Redis: kept by version, each for its own time. */
import { keys, type PageCache, type PageToKeep } from '@flashsale/sale';
import { callPageGet, callPagePut } from '@flashsale/sale/scripts';
import type { RedisConnection } from './redis-connection.ts';

/** Pages asked for or written at once. */
const CHUNK = 200;

/** `prefix` goes before every name: tests on one server keep apart by it. */
export function createPageCache(redis: RedisConnection, prefix = ''): PageCache {
  const keyOf = (name: string): string => keys.page(prefix + name);
  return {
    async get(name) {
      const [version, loadMs, body, leftMs] = await callPageGet(redis.run, { page: keyOf(name) });
      if (body === undefined) return undefined;
      return { body: String(body), version: Number(version), loadMs: Number(loadMs), leftMs: Number(leftMs) };
    },
    put: (pages) =>
      inChunks(pages, async ({ name, version, loadMs, body, ttlMs }: PageToKeep) => {
        checkLife(name, ttlMs);
        const kept = await callPagePut(redis.run, { page: keyOf(name) }, { version, loadMs, body, ttlMs });
        return kept === 1;
      }),
    left: (names) =>
      inChunks(names, async (name) => {
        const ms = await redis.command<number>('PTTL', keyOf(name));
        return ms < 0 ? undefined : ms;
      }),
  };
}

/** PEXPIRE removes the key for anything below 1: the page would be gone, and nobody would know why. */
function checkLife(name: string, ttlMs: number): void {
  if (!Number.isSafeInteger(ttlMs) || ttlMs < 1) throw new RangeError(`${name} cannot be kept for ${ttlMs} ms`);
}

async function inChunks<In, Out>(all: readonly In[], work: (one: In) => Promise<Out>): Promise<Out[]> {
  const out: Out[] = [];
  for (let from = 0; from < all.length; from += CHUNK)
    out.push(...(await Promise.all(all.slice(from, from + CHUNK).map(work))));
  return out;
}
