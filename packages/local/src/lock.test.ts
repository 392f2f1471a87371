/** One holder at a time; the lock is free again when it was given back. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { tryLock, withLock } from './lock.ts';

test('held by one at a time', async () => {
  const name = randomUUID();
  const release = await tryLock(name);
  assert.ok(release !== undefined);
  assert.equal(await tryLock(name), undefined);
  let told = 0;
  const order: string[] = [];
  const second = withLock(
    name,
    () => {
      order.push('second');
      return Promise.resolve('done');
    },
    () => {
      told += 1;
      order.push('waiting');
      void release();
    },
  );
  assert.equal(await second, 'done');
  assert.deepEqual(order, ['waiting', 'second']);
  assert.equal(told, 1);
});

test('given back when the work fails', async () => {
  const name = randomUUID();
  await assert.rejects(
    withLock(name, () => Promise.reject(new Error('no'))),
    /no/,
  );
  const release = await tryLock(name);
  assert.ok(release !== undefined);
  await release();
});
