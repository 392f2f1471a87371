/** Conditions move their time with the status alone, and are not written where nothing changed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTrue, setCondition, type Finding } from './conditions.ts';

const ready: Finding = { type: 'Ready', status: 'True', reason: 'AllThere', message: 'all is there' };
const at = (second: number): Date => new Date(Date.UTC(2026, 0, 1, 0, 0, second, 123));

test('the transition time is that of the last change of status', () => {
  const first = setCondition([], ready, 1, at(1));
  assert.equal(first[0]?.lastTransitionTime, '2026-01-01T00:00:01Z');
  const worded = setCondition(first, { ...ready, message: 'still there' }, 2, at(2));
  assert.deepEqual(worded, [
    { ...ready, message: 'still there', lastTransitionTime: '2026-01-01T00:00:01Z', observedGeneration: 2 },
  ]);
  const fell = setCondition(worded, { ...ready, status: 'False' }, 2, at(3));
  assert.equal(fell[0]?.lastTransitionTime, '2026-01-01T00:00:03Z');
  assert.deepEqual([isTrue(worded, 'Ready'), isTrue(fell, 'Ready'), isTrue(fell, 'Other')], [true, false, false]);
});

test('nothing new gives back the very same array, and a new generation does not', () => {
  const first = setCondition([], ready, 1, at(1));
  assert.equal(setCondition(first, ready, 1, at(2)), first);
  assert.notEqual(setCondition(first, ready, 2, at(2)), first);
});

test('the order and the other conditions stay', () => {
  const other = { ...ready, type: 'Open' };
  const two = setCondition(setCondition([], ready, 1, at(1)), other, 1, at(1));
  const after = setCondition(two, { ...ready, status: 'Unknown' }, 1, at(2));
  assert.deepEqual(
    after.map(({ type }) => type),
    ['Ready', 'Open'],
  );
  assert.equal(after[1], two[1]);
});
