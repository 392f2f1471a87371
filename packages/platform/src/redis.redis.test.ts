/** The sale store's contract on one real Redis. */
import { after } from 'node:test';
import { testRedis } from '@flashsale/local/testing';
import { saleStoreContract } from '@flashsale/sale/contract';
import { quiet, underTest } from './redis-fixtures.ts';
import { connectRedis, type RedisConnection } from './redis.ts';

let redis: RedisConnection | undefined;

saleStoreContract('one Redis', async () => {
  const url = await testRedis();
  redis = connectRedis(url, quiet);
  await redis.start();
  return underTest(redis, [Number(new URL(url).port)]);
});

after(async () => {
  await redis?.stop();
});
