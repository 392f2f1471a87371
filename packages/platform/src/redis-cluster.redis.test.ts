/** The sale store's contract on a real Redis Cluster of three nodes, where the shards of a sale are on different nodes. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { freePorts } from '@flashsale/local/testing';
import { saleStoreContract } from '@flashsale/sale/contract';
import { startCluster, quiet, underTest, type TestCluster } from './redis-fixtures.ts';
import { connectRedis, createSignals, type RedisConnection } from './redis.ts';

let cluster: Promise<TestCluster> | undefined;
const connections: RedisConnection[] = [];

const started = (): Promise<TestCluster> => (cluster ??= freePorts(6).then(startCluster));

async function connected(): Promise<RedisConnection> {
  const redis = connectRedis((await started()).url, quiet);
  connections.push(redis);
  await redis.start();
  return redis;
}

saleStoreContract('a Redis Cluster', async () => underTest(await connected(), (await started()).ports));

test('a broadcast reaches every connection, whichever node it is on', { timeout: 30_000 }, async () => {
  const [one, two] = [createSignals(await connected()), createSignals(await connected())];
  const { promise, resolve } = Promise.withResolvers<unknown>();
  const end = await two.subscribe(resolve, () => undefined);
  const message = { type: 'returned', sale: 'a', sku: 'b' } as const;
  await one.broadcast(message);
  assert.deepEqual(await promise, message);
  await end();
});

after(async () => {
  for (const redis of connections) await redis.stop();
  await (await cluster)?.stop();
});
