/** Durations as they are written in a FlashSale. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatDuration, parseDuration } from './duration.ts';

const READ: readonly (readonly [string, number | undefined])[] = [
  ['90s', 90_000],
  ['10m', 600_000],
  ['1h30m', 5_400_000],
  ['1.5s', 1500],
  ['250ms', 250],
  ['1m500ms', 60_500],
  ['0', 0],
  ['0s', 0],
  ['', undefined],
  ['10', undefined],
  ['10 m', undefined],
  ['-5s', undefined],
  ['5d', undefined],
  ['1e3s', undefined],
  ['s', undefined],
  ['.5s', undefined],
  ['9999999999999999h', undefined],
];
for (const [text, ms] of READ) {
  test(`"${text}" is ${ms === undefined ? 'no duration' : `${ms} ms`}`, () => assert.equal(parseDuration(text), ms));
}

test('what is written is read back', () => {
  fc.assert(fc.property(fc.nat(10 ** 12), (ms) => parseDuration(formatDuration(ms)) === ms));
  assert.equal(formatDuration(5_400_000), '1h30m');
  assert.equal(formatDuration(90_500), '1m30s500ms');
  assert.equal(formatDuration(0), '0s');
});

test('only whole milliseconds from 0 are written', () => {
  for (const ms of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) assert.throws(() => formatDuration(ms), RangeError);
});
