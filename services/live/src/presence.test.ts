/** Registrations keep the order of events, however slow Redis is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LocalPresence, type PresenceStore } from './presence.ts';

/** A store whose calls finish when the test says so. */
class SlowStore implements PresenceStore {
  readonly registered = new Set<string>();
  readonly calls: string[] = [];
  #held: (() => void)[] = [];
  fail = false;
  #call(name: string, effect: () => void): Promise<void> {
    this.calls.push(name);
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    const { fail } = this;
    this.#held.push(() => {
      if (fail) {
        reject(new Error('redis is away'));
        return;
      }
      effect();
      resolve(undefined);
    });
    return promise;
  }
  add(buyer: string): Promise<void> {
    return this.#call('add', () => this.registered.add(buyer));
  }
  remove(buyer: string): Promise<void> {
    return this.#call('remove', () => this.registered.delete(buyer));
  }
  refresh(buyers: Iterable<string>): Promise<void> {
    for (const buyer of buyers) this.registered.add(buyer);
    return Promise.resolve();
  }
  /** Lets calls finish until none is left. */
  async flow(): Promise<void> {
    for (let idle = 0; idle < 3;) {
      await new Promise(setImmediate);
      const held = this.#held.shift();
      if (held) held();
      else idle++;
    }
  }
}

function setUp(): { store: SlowStore; presence: LocalPresence; errors: unknown[] } {
  const store = new SlowStore();
  const errors: unknown[] = [];
  return { store, errors, presence: new LocalPresence(store, (error) => errors.push(error)) };
}

test('the last connection that leaves takes the registration away', async () => {
  const { store, presence } = setUp();
  const joined = Promise.all([presence.join('a'), presence.join('a')]);
  await store.flow();
  await joined;
  presence.leave('a');
  await store.flow();
  assert.deepEqual([...store.registered], ['a']);
  presence.leave('a');
  await store.flow();
  assert.deepEqual([...store.registered], []);
  assert.equal(presence.buyers, 0);
});

test('a removal under way does not overtake the return of the buyer', async () => {
  const { store, presence } = setUp();
  const first = presence.join('a');
  await store.flow();
  await first;
  presence.leave('a');
  await new Promise(setImmediate);
  assert.deepEqual(store.calls, ['add', 'remove']);
  const back = presence.join('a');
  await store.flow();
  await back;
  assert.deepEqual([...store.registered], ['a']);
  assert.equal(presence.buyers, 1);
});

test('where Redis does not take the registration, nothing is left behind', async () => {
  const { store, presence, errors } = setUp();
  store.fail = true;
  const joined = assert.rejects(presence.join('a'), /redis is away/);
  await store.flow();
  await joined;
  await store.flow();
  assert.equal(presence.buyers, 0);
  assert.equal(errors.length, 1);
});
