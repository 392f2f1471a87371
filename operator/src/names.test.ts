/** Who owns a name: whose sale has begun, else who came first; and who hears when that changes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Sale } from '@flashsale/sale';
import { Names } from './names.ts';
import { newStatus, type SaleStatus } from './status.ts';

const [a, b, c] = ['a', 'b', 'c'].map((namespace) => ({ namespace, name: 'drop' }));
assert.ok(a && b && c);
const sale = { name: 'drop' } as Sale;
const accepted: SaleStatus = { ...newStatus, accepted: sale };
const open: SaleStatus = { ...accepted, epoch: 1, phase: 'Open' };
const closed: SaleStatus = { ...open, phase: 'Closed' };
const namespaces = (resources: readonly { namespace: string }[]): string[] =>
  resources.map(({ namespace }) => namespace).sort();

test('the first owns the name, and keeps it against those that come later', () => {
  const names = new Names();
  assert.deepEqual(names.set(b, undefined), []);
  assert.deepEqual(names.set(a, undefined), []);
  assert.deepEqual([names.owns(b), names.owns(a)], [true, false]);
  assert.equal(names.refusalOf(b), undefined);
  assert.match(names.refusalOf(a)?.message ?? '', /a sale named drop is in namespace b/);
  names.set(b, accepted);
  assert.deepEqual(names.set(a, accepted), [], 'equals keep their order');
  assert.equal(names.owns(b), true);
});

test('a sale that has begun takes the name, one that runs from one that ended; all of the name hear of it', () => {
  const names = new Names();
  names.set(a, accepted);
  names.set(b, undefined);
  assert.deepEqual(namespaces(names.set(b, closed)), ['a', 'b']);
  assert.deepEqual(names.ownerOf('drop')?.namespace, 'b');
  assert.deepEqual(namespaces(names.set(c, open)), ['a', 'b', 'c']);
  assert.match(names.refusalOf(b)?.message ?? '', /namespace c/);
  assert.deepEqual(names.set(c, open), [], 'nothing changed');
});

test('where the owner goes, those that waited for the name hear of it, and others do not', () => {
  const names = new Names();
  for (const one of [a, b, c]) names.set(one, undefined);
  names.set({ namespace: 'a', name: 'other' }, undefined);
  assert.deepEqual(names.drop(c), [], 'it had not owned it');
  assert.deepEqual(namespaces(names.drop(a)), ['b']);
  assert.equal(names.refusalOf(b), undefined);
  assert.deepEqual(names.drop(b), []);
  assert.equal(names.ownerOf('drop'), undefined);
  assert.deepEqual(names.drop(b), []);
});
