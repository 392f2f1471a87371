/** docs/errors.md and the codes of errors.ts say the same, compared both ways. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ERRORS, SaleError } from './errors.ts';
import type { ErrorCode } from './errors.ts';

const text = readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8');
const sections = text.split(/^## /m).slice(1);
const documented = sections.map((section) => {
  const [heading = '', ...body] = section.split('\n');
  return { code: heading.trim(), body: body.join('\n') };
});

test('every code is documented once, in the order of errors.ts, and nothing else is', () => {
  assert.deepEqual(
    documented.map(({ code }) => code),
    Object.keys(ERRORS),
  );
});

for (const { code, body } of documented) {
  test(`${code}: the page has its status, what happened and what to do`, () => {
    const [, status, happened] = /^Status (\d+)\. (\S.*)$/m.exec(body) ?? [];
    assert.equal(Number(status), ERRORS[code as ErrorCode].status);
    assert.ok(happened);
    assert.match(body, /^What to do: \S/m);
  });
}

test('statuses are those of errors', () => {
  for (const [code, { status, title }] of Object.entries(ERRORS)) {
    assert.ok(status >= 400 && status <= 599, code);
    assert.notEqual(title, '', code);
  }
});

test('an error carries its code, status, detail and members', () => {
  const error = new SaleError('sold_out', 'none left', { held: 3 });
  assert.deepEqual(
    [error.code, error.status, error.detail, error.members],
    ['sold_out', 409, 'none left', { held: 3 }],
  );
  assert.equal(error.message, 'sold_out: none left');
});
