/** Password hashes and the limit on how many are computed at a time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SaleError } from '@flashsale/sale';
import { createPasswords, limiter } from './passwords.ts';

test('a hash is Argon2id, matches its password and no other, and nothing matches an absent one', async () => {
  const passwords = await createPasswords();
  const hash = await passwords.hash('a good password');
  assert.match(hash, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  assert.equal(await passwords.verify(hash, 'a good password'), true);
  assert.equal(await passwords.verify(hash, 'a bad password'), false);
  assert.equal(await passwords.verify(undefined, 'no account has this password'), false);
});

test('the limiter runs so many at a time, lets so many wait, and refuses the rest', async () => {
  const limited = limiter(2, 3);
  let running = 0;
  let most = 0;
  const finish: (() => void)[] = [];
  const work = async (): Promise<void> => {
    most = Math.max(most, ++running);
    await new Promise<void>((resolve) => finish.push(resolve));
    running--;
  };
  const calls = Array.from({ length: 6 }, () => limited(work));
  await assert.rejects(
    calls[5] as Promise<void>,
    (error) => error instanceof SaleError && error.code === 'try_again_later',
  );
  for (let i = 0; i < 5; i++) {
    while (finish.length === 0) await Promise.resolve();
    (finish.shift() as () => void)();
  }
  await Promise.all(calls.slice(0, 5));
  assert.equal(most, 2);
  const again = limited(() => Promise.resolve('free again'));
  assert.equal(await again, 'free again');
});
