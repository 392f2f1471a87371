/** The table of purchase statuses and the conservation law. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { canBecome, columnOf, conserves, PURCHASE_MOVES } from './purchase.ts';
import { PURCHASE_STATUSES } from './types.ts';

test('every status is reached from reserved, and no purchase moves in a circle', () => {
  const paths: string[] = [];
  const walk = (path: readonly (keyof typeof PURCHASE_MOVES)[]): void => {
    const last = path.at(-1) ?? 'reserved';
    paths.push(path.join(' '));
    for (const next of PURCHASE_MOVES[last]) {
      assert.ok(!path.includes(next), `${path.join(' ')} ${next}`);
      walk([...path, next]);
    }
  };
  walk(['reserved']);
  for (const status of PURCHASE_STATUSES)
    assert.ok(
      paths.some((path) => path.endsWith(status)),
      status,
    );
});

test('an ended purchase is never sold afterwards, and nothing is reserved twice', () => {
  for (const status of PURCHASE_STATUSES) {
    if (status !== 'reserved') assert.ok(!canBecome(status, 'paid'), status);
    assert.ok(!canBecome(status, 'reserved'), status);
  }
});

test('a unit is held while reserved, sold while paid, else free', () => {
  assert.deepEqual(PURCHASE_STATUSES.map(columnOf), ['held', 'sold', 'free', 'free', 'free']);
});

test('a level conserves only where its columns add up and none is negative', () => {
  const units = fc.nat(1000);
  fc.assert(
    fc.property(units, units, units, fc.integer({ min: 1, max: 5 }), (free, held, sold, off) => {
      const stock = free + held + sold;
      assert.ok(conserves({ stock, free, held, sold }));
      assert.ok(!conserves({ stock: stock + off, free, held, sold }));
      assert.ok(!conserves({ stock, free: free + sold + off, held, sold: -off }));
    }),
  );
});
