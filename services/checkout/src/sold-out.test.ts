/** The memory of "sold out": short, and gone the moment a unit came back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testSale } from './test-sale.ts';
import { listSale } from './sale-directory.ts';
import { REMEMBER_MS, SoldOut } from './sold-out.ts';

const item = [...listSale(testSale('shoes')).items.values()][0];
assert.ok(item);

function setUp() {
  const time = { now: 1_000 };
  return { time, soldOut: new SoldOut(() => time.now) };
}

test('remembers for 200 ms from the question, not from the answer', () => {
  const { time, soldOut } = setUp();
  const question = soldOut.ask();
  time.now += 150;
  soldOut.remember(item, 1, 7, question);
  time.now += REMEMBER_MS - 151;
  assert.equal(soldOut.recall(item, 1)?.members.held, 7);
  time.now += 1;
  assert.equal(soldOut.recall(item, 1), undefined);
});

test('an answer that was under way while units came back is told, but not remembered', () => {
  const { soldOut } = setUp();
  const question = soldOut.ask();
  soldOut.forget(item);
  assert.equal(soldOut.remember(item, 1, 0, question).code, 'sold_out');
  assert.equal(soldOut.recall(item, 1), undefined);
});

test('forgets at once when units came back, of one item or of all', () => {
  for (const which of [item, undefined]) {
    const { soldOut } = setUp();
    soldOut.remember(item, 1, 0, soldOut.ask());
    assert.ok(soldOut.recall(item, 1));
    soldOut.forget(which);
    assert.equal(soldOut.recall(item, 1), undefined);
  }
});

test('that no shard has two units says nothing of one', () => {
  const { soldOut } = setUp();
  soldOut.remember(item, 2, 0, soldOut.ask());
  assert.equal(soldOut.recall(item, 1), undefined);
  assert.ok(soldOut.recall(item, 2));
  assert.ok(soldOut.recall(item, 3));
});

test('a sale published anew starts knowing nothing', () => {
  const { soldOut } = setUp();
  soldOut.remember(item, 1, 0, soldOut.ask());
  const again = [...listSale(testSale('shoes')).items.values()][0];
  assert.ok(again);
  assert.equal(soldOut.recall(again, 1), undefined);
});
