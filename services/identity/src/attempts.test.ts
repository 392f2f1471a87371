/** The limit on failed sign-ins. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SaleError } from '@flashsale/sale';
import { Attempts } from './attempts.ts';

const limited = (error: unknown): boolean => error instanceof SaleError && error.code === 'rate_limited';

test('ten failures for one e-mail close it, for that one alone, until the time is over', () => {
  let now = 0;
  const attempts = new Attempts(() => now);
  for (let i = 0; i < 10; i++) {
    attempts.check('a');
    attempts.failed('a');
  }
  assert.throws(() => attempts.check('a'), limited);
  attempts.check('b');
  now = 15 * 60_000 - 1;
  assert.throws(() => attempts.check('a'), limited);
  now++;
  attempts.check('a');
});

test('a success forgets the failures', () => {
  const attempts = new Attempts(() => 0);
  for (let i = 0; i < 9; i++) attempts.failed('a');
  attempts.succeeded('a');
  attempts.failed('a');
  attempts.check('a');
});

test('many e-mails do not fill the memory: the longest known gives way', () => {
  const attempts = new Attempts(() => 0);
  for (let i = 0; i < 10; i++) attempts.failed('first');
  for (let i = 0; i < 10_000; i++) attempts.failed(`other-${i}`);
  attempts.check('first');
});
