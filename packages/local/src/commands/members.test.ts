/** The file of members: account numbers, one a line, and a plain word where a line is none. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseNumbers } from './members.ts';

test('numbers are read line by line, empty lines are passed over', () => {
  assert.deepEqual(parseNumbers('7\n\n 42 \r\n16777215\n'), [7, 42, 16_777_215]);
});

test('a line that is no account number is named', () => {
  for (const line of ['ann', '-1', '1.5', '1e3', '16777216']) {
    assert.throws(
      () => parseNumbers(`7\n${line}\n`),
      /^Error: line 2: write an account number below 16777216, not "/,
      line,
    );
  }
});
