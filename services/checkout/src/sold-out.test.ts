/** The memory of "sold out": short, and gone the moment a unit came back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testSale } from './test-sale.ts';
import { listSale } from './sale-directory.ts';
import { REMEMBER_MS, SoldOut } from './sold-out.ts';

const item = [...listSale(testSale('shoes')).items.values()][0];
assert.ok(item);

const none = (held: number, changes = 0) => ({ moved: 0, held, changes });

function setUp() {
  const time = { now: 1_000 };
  return { time, soldOut: new SoldOut(() => time.now) };
}

test('remembers for 200 ms from the question, not from the answer', () => {
  const { time, soldOut } = setUp();
  const question = soldOut.ask();
  time.now += 150;
  soldOut.remember(item, 1, none(7), question);
  time.now += REMEMBER_MS - 151;
  assert.equal(soldOut.recall(item, 1)?.members.held, 7);
  time.now += 1;
  assert.equal(soldOut.recall(item, 1), undefined);
});

test('an answer that was under way while units came back is told, but not remembered', () => {
  const { soldOut } = setUp();
  const question = soldOut.ask();
  soldOut.forget(item);
  assert.equal(soldOut.remember(item, 1, none(0), question).code, 'sold_out');
  assert.equal(soldOut.recall(item, 1), undefined);
});

test('forgets at once when units came back, of one item or of all', () => {
  for (const which of [item, undefined]) {
    const { soldOut } = setUp();
    soldOut.remember(item, 1, none(0), soldOut.ask());
    assert.ok(soldOut.recall(item, 1));
    soldOut.forget(which);
    assert.equal(soldOut.recall(item, 1), undefined);
  }
});

test('that no shard has two units says nothing of one', () => {
  const { soldOut } = setUp();
  soldOut.remember(item, 2, none(0), soldOut.ask());
  assert.equal(soldOut.recall(item, 1), undefined);
  assert.ok(soldOut.recall(item, 2));
  assert.ok(soldOut.recall(item, 3));
});

test('nobody was sold a unit since it was first remembered, as long as none was added', () => {
  const { time, soldOut } = setUp();
  assert.equal(soldOut.since(item), Infinity);
  const steps: readonly [quantity: number, changes: number, since: number][] = [
    [1, 5, 1_000],
    [1, 5, 1_000],
    [1, 6, 3_000],
    [2, 6, 3_000],
    // Before, one unit may have been free, and sold since.
    [1, 6, 5_000],
  ];
  for (const [quantity, changes, since] of steps) {
    soldOut.remember(item, quantity, none(0, changes), soldOut.ask());
    assert.equal(soldOut.since(item), since);
    time.now += 1_000;
  }
  soldOut.forget(item);
  assert.equal(soldOut.since(item), Infinity);
});

test('a sale published anew starts knowing nothing', () => {
  const { soldOut } = setUp();
  soldOut.remember(item, 1, none(0), soldOut.ask());
  const again = [...listSale(testSale('shoes')).items.values()][0];
  assert.ok(again);
  assert.equal(soldOut.recall(again, 1), undefined);
});
