/** The existence filter: no false "no", few false "yes", and the bit order of Redis. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Existence } from './existence.ts';

test('whatever was added is there, also after a round trip through bytes', () => {
  fc.assert(
    fc.property(fc.array(fc.string(), { maxLength: 200 }), (names) => {
      const filter = Existence.sized(names.length);
      for (const name of names) filter.add(name);
      const read = new Existence(new Uint8Array(filter.bytes));
      for (const name of names) assert.ok(read.has(name), name);
    }),
  );
});

test('at most 2 in 1,000 made-up names look known in a full filter', () => {
  const filter = Existence.sized(5000);
  for (let i = 0; i < 5000; i++) filter.add(`sale-${i}`);
  let wrong = 0;
  for (let i = 5000; i < 55_000; i++) if (filter.has(`sale-${i}`)) wrong++;
  assert.ok(wrong / 50_000 <= 0.002, `${wrong} of 50,000`);
});

test('an empty filter knows nothing', () => {
  fc.assert(fc.property(fc.string(), (name) => !Existence.sized(0).has(name)));
});

test('sales and their skus are apart', () => {
  const filter = Existence.of([
    { name: 'drop', items: [{ sku: 'shoe' }] },
    { name: 'other', items: [{ sku: 'hat' }] },
  ]);
  assert.ok(filter.hasSale('drop') && filter.hasItem('drop', 'shoe') && filter.hasItem('other', 'hat'));
  assert.ok(!filter.hasSale('shoe') && !filter.hasItem('drop', 'hat') && !filter.hasItem('other', 'shoe'));
});

test('every added name sets at most 7 bits', () => {
  const filter = Existence.sized(1);
  filter.add('drop');
  const set = filter.bytes.reduce((bits, byte) => bits + byte.toString(2).replaceAll('0', '').length, 0);
  assert.ok(set > 0 && set <= 7, `${set}`);
});

test('a filter without bytes is refused', () => {
  assert.throws(() => new Existence(new Uint8Array()), RangeError);
});
