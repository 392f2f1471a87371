/** Which errors of Redis tell the caller to try again, and which are ours; addresses; the waits between reconnects. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SaleError } from '@flashsale/sale';
import { DeadlineError } from './deadline.ts';
import { mapRedisError } from './redis-errors.ts';
import { parseRedisUrl, reconnectDelay } from './redis-url.ts';

test('what passes by itself becomes try_again_later, with its cause', () => {
  const passing = [
    'LOADING Redis is loading the dataset in memory',
    'CLUSTERDOWN Hash slot not served',
    'MOVED 3999 127.0.0.1:6381',
    "READONLY You can't write against a read only replica.",
    "OOM command not allowed when used memory > 'maxmemory'.",
    'BUSY Redis is busy running a script.',
    'Connection is closed.',
    "Stream isn't writeable and enableOfflineQueue options is false",
  ].map((text) => new Error(text));
  const refused = Object.assign(new Error('connect ECONNREFUSED'), { syscall: 'connect' });
  for (const error of [...passing, refused, new DeadlineError('x', 1)]) {
    const mapped = mapRedisError(error);
    assert.ok(mapped instanceof SaleError && mapped.code === 'try_again_later', error.message);
    assert.equal(mapped.cause, error);
  }
});

test('mistakes of ours stay what they are', () => {
  for (const text of ['WRONGTYPE Operation against a key', 'NOSCRIPT No matching script', 'ERR unknown command']) {
    const error = new Error(text);
    assert.equal(mapRedisError(error), error);
  }
  assert.ok(mapRedisError('text') instanceof Error);
});

test('addresses of one server and of a cluster', () => {
  assert.deepEqual(parseRedisUrl('redis://127.0.0.1:6380/2'), {
    cluster: false,
    nodes: [{ host: '127.0.0.1', port: 6380 }],
    common: {},
    db: 2,
  });
  assert.deepEqual(parseRedisUrl('redis-cluster://me:p%40ss@a:1,[::1]:2,c'), {
    cluster: true,
    nodes: [
      { host: 'a', port: 1 },
      { host: '::1', port: 2 },
      { host: 'c', port: 6379 },
    ],
    common: { username: 'me', password: 'p@ss' },
    db: 0,
  });
  assert.deepEqual(parseRedisUrl('rediss://h').common, { tls: {} });
  for (const bad of ['http://h', 'redis-cluster://a:1/2', 'redis://:secret@']) {
    assert.throws(
      () => parseRedisUrl(bad),
      (error: Error) => !error.message.includes('secret'),
    );
  }
});

test('reconnects wait longer and longer, up to 2 s', () => {
  for (let times = 1; times < 2_000; times++) {
    const [wait, ceiling] = [reconnectDelay(times), Math.min(20 * 2 ** times, 2_000)];
    assert.ok(wait >= ceiling / 2 && wait <= ceiling);
  }
});
