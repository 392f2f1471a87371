/** Money round trips, and what is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decimalAmount, minorUnits } from './money.ts';

test('minor units and decimals are each other’s inverse', () => {
  // Twelve digits before the point are read at most.
  const currency = fc.constantFrom('EUR', 'JPY', 'KWD');
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1e12 - 1 }), currency, (minor, code) => {
      assert.equal(minorUnits(decimalAmount(minor, code), code), minor);
    }),
  );
});

test('the largest amount is told to the last cent', () => {
  assert.equal(decimalAmount(Number.MAX_SAFE_INTEGER, 'EUR'), '90071992547409.91');
  assert.equal(decimalAmount(7_755_232_362_307_326, 'EUR'), '77552323623073.26');
  assert.equal(decimalAmount(5, 'KWD'), '0.005');
});

test('more decimals than the currency has are refused, fewer are filled', () => {
  assert.equal(minorUnits('129', 'EUR'), 12900);
  assert.equal(minorUnits('129.5', 'EUR'), 12950);
  assert.equal(minorUnits('129.555', 'EUR'), undefined);
  assert.equal(minorUnits('1.5', 'JPY'), undefined);
  assert.equal(minorUnits('-1', 'EUR'), undefined);
  assert.equal(minorUnits('', 'EUR'), undefined);
});
