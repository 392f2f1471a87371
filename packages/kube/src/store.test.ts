/** The store: duplicates, events out of order, objects made anew, handlers that throw. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compareVersions, keyOf, nameOf, type KubeObject } from './object.ts';
import { Store } from './store.ts';

function thing(name: string, version: number, uid = 'u'): KubeObject {
  return { metadata: { name, namespace: 'n', uid, resourceVersion: String(version) } };
}

function bench() {
  const told: string[] = [];
  const errors: unknown[] = [];
  const store = new Store<KubeObject>((error) => errors.push(error));
  const id = ({ metadata }: KubeObject): string => `${metadata.name}${metadata.resourceVersion ?? ''}`;
  store.subscribe({
    added: (object) => told.push(`+${id(object)}`),
    modified: (object, old) => told.push(`${id(old)}>${id(object)}`),
    deleted: (object) => told.push(`-${id(object)}`),
  });
  return { store, told, errors };
}

test('a duplicate, and an event that comes late, change nothing', () => {
  const { store, told } = bench();
  store.put(thing('a', 5));
  store.put(thing('a', 5));
  store.put(thing('a', 4));
  store.put(thing('a', 10));
  assert.equal(store.remove(thing('a', 9)), false);
  assert.equal(store.remove(thing('b', 9)), false);
  assert.equal(store.remove(thing('a', 11)), true);
  assert.deepEqual(told, ['+a5', 'a5>a10', '-a11']);
});

test('a deletion stands against events of before it, until a list says otherwise; so many are remembered', () => {
  const { store, told } = bench();
  store.remove(thing('a', 9));
  store.put(thing('a', 8));
  store.put(thing('a', 10));
  assert.deepEqual(told, ['+a10']);
  store.remove(thing('a', 11));
  store.replace([]);
  store.put(thing('a', 3));
  assert.deepEqual(told.slice(1), ['-a11', '+a3']);
  store.remove(thing('a', 12));
  for (let n = 0; n < 1000; n += 1) store.remove(thing(`other-${n}`, 13));
  store.put(thing('a', 12));
  assert.equal(told.at(-1), '+a12', 'forgotten: a periodic list mends it');
});

test('an object that was deleted and made again in between is told as both', () => {
  const { store, told } = bench();
  store.put(thing('a', 5, 'first'));
  store.put(thing('a', 8, 'second'));
  assert.deepEqual(told, ['+a5', '-a5', '+a8']);
});

test('a list is the truth, also where it is older: a cluster came back from a backup', () => {
  const { store, told } = bench();
  store.put(thing('a', 50));
  store.put(thing('b', 51));
  assert.deepEqual(store.replace([thing('a', 7), thing('c', 8)]), { added: 1, modified: 1, deleted: 1 });
  assert.deepEqual(told.slice(2), ['a50>a7', '+c8', '-b51']);
  assert.deepEqual(store.replace([thing('a', 7), thing('c', 8)]), { added: 0, modified: 0, deleted: 0 });
});

test('who subscribes later hears of what is there; a handler that throws is alone with it', () => {
  const { store, told, errors } = bench();
  store.subscribe({
    added: () => {
      throw new Error('mine');
    },
  });
  store.put(thing('a', 1));
  const late: string[] = [];
  store.subscribe({ added: ({ metadata }) => late.push(metadata.name) });
  assert.deepEqual([told, late, errors.length], [['+a1'], ['a'], 1]);
});

test('in whatever order events come, the newest of each object stays', () => {
  const version = fc.integer({ min: 1, max: 1e15 });
  const event = fc.record({ name: fc.constantFrom('a', 'b', 'c'), version, deletes: fc.boolean() });
  const events = fc.uniqueArray(event, { selector: ({ version }) => version });
  fc.assert(
    fc.property(events, (given) => {
      const { store } = bench();
      for (const { name, version, deletes } of given) {
        if (deletes) store.remove(thing(name, version));
        else store.put(thing(name, version));
      }
      for (const name of ['a', 'b', 'c']) {
        const [newest] = given.filter((one) => one.name === name).toSorted((a, b) => b.version - a.version);
        const held = store.get(`n/${name}`)?.metadata.resourceVersion;
        assert.equal(held, newest && !newest.deletes ? String(newest.version) : undefined);
      }
    }),
  );
});

test('versions are compared as numbers of any size; keys are names and back', () => {
  const number = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
  fc.assert(
    fc.property(number, number, (a, b) => {
      assert.equal(Math.sign(compareVersions(String(a), String(b))), a < b ? -1 : a > b ? 1 : 0);
    }),
  );
  assert.deepEqual(nameOf(keyOf(thing('a', 1))), { namespace: 'n', name: 'a' });
  assert.deepEqual(nameOf(keyOf({ metadata: { name: 'node' } })), { name: 'node' });
});
