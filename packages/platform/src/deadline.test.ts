/** Deadlines: the answer in time, the error of the work, the error of the deadline. */
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { DeadlineError, withDeadline } from './deadline.ts';

test('answers and fails as the work does', async () => {
  assert.equal(await withDeadline('w', 1_000, Promise.resolve(7)), 7);
  await assert.rejects(withDeadline('w', 1_000, Promise.reject(new TypeError('no'))), TypeError);
});

test('gives up after its time, and a later failure of the work is nobody’s', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    const work = Promise.withResolvers<number>();
    const answer = withDeadline('the work', 50, work.promise);
    mock.timers.tick(50);
    await assert.rejects(answer, (error) => error instanceof DeadlineError && error.message.includes('the work'));
    // An unhandled rejection would fail the test file.
    work.reject(new Error('too late'));
    await new Promise(setImmediate);
  } finally {
    mock.timers.reset();
  }
});
