/** The contracts of the page cache and its locks on a real Redis, and what they do while it is away. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { freePort, startRedis, testFolder, testRedis } from '@flashsale/local/testing';
import { keys } from '@flashsale/sale';
import { pageCacheContract, pageLocksContract } from '@flashsale/sale/pages-contract';
import { join } from 'node:path';
import { quiet, startProxy } from './redis-fixtures.ts';
import { connectRedis, createPageCache, type RedisConnection } from './redis.ts';
import { createPageLocks } from './redis-page-locks.ts';

let redis: RedisConnection | undefined;
async function connected(): Promise<RedisConnection> {
  redis ??= connectRedis(await testRedis(), quiet);
  await redis.start();
  return redis;
}
after(async () => {
  await redis?.stop();
});

pageCacheContract('pages in Redis', async () => {
  const connection = await connected();
  return {
    cache: createPageCache(connection),
    lose: async (name) => {
      await connection.command('DEL', keys.page(name));
    },
  };
});

pageLocksContract('locks by redlock', async () => createPageLocks(await connected()));

test('pages with a prefix are not those without it', async () => {
  const connection = await connected();
  const one = createPageCache(connection, 'one/');
  const name = `p-${process.pid}-${Date.now()}`;
  await one.put([{ name, version: 1, body: '{}', loadMs: 1, ttlMs: 60_000 }]);
  assert.equal(await createPageCache(connection).get(name), undefined);
  assert.equal((await one.get(name))?.version, 1);
});

test('a Redis that hangs: every call ends by its deadline, and nobody is given a lock', async () => {
  const dataDir = join(testFolder(), 'redis-pages');
  const server = await startRedis({ dataDir, port: await freePort(), durable: false });
  const proxy = await startProxy(Number(new URL(server.url).port));
  const connection = connectRedis(`redis://127.0.0.1:${proxy.port}`, quiet);
  try {
    await connection.start();
    proxy.hang();
    const isLater = { code: 'try_again_later' };
    const cache = createPageCache(connection);
    const answers = await Promise.all([
      assert.rejects(cache.get('p'), isLater),
      assert.rejects(cache.left(['p']), isLater),
      assert.rejects(cache.put([{ name: 'p', version: 1, body: '{}', loadMs: 1, ttlMs: 1_000 }]), isLater),
      createPageLocks(connection).tryLock('p', 1_000),
    ]);
    assert.equal(answers[3], undefined);
  } finally {
    await connection.stop();
    await proxy.stop();
    await server.stop();
  }
});
