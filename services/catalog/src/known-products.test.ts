/** The filter of product ids follows a catalog that grows, and is made anew when it is full or the database another one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KnownProducts } from './known-products.ts';
import type { Products } from './ports.ts';

/** A catalog in memory: ids by the version in which they were added. */
class Shelf implements Pick<Products, 'version' | 'addedAfter'> {
  readonly added: { id: string; version: number }[] = [];
  readonly asked: number[] = [];
  looks = 0;
  gate: Promise<unknown> = Promise.resolve();
  down = false;
  #version = 0;

  add(...ids: readonly string[]): void {
    this.#version += 1;
    this.added.push(...ids.map((id) => ({ id, version: this.#version })));
  }
  reset(): void {
    this.added.length = 0;
    this.#version = 0;
  }
  async version() {
    this.looks += 1;
    if (this.down) throw new Error('the database is down');
    const seen = { version: this.#version, total: this.added.length };
    await this.gate;
    return seen;
  }
  async *addedAfter(version: number) {
    this.asked.push(version);
    const ids = this.added.filter((one) => one.version > version).map(({ id }) => id);
    for (let from = 0; from < ids.length; from += 3) yield await Promise.resolve(ids.slice(from, from + 3));
  }
}

const ids = (from: number, count: number): string[] => Array.from({ length: count }, (_, i) => `p${from + i}`);

test('before the first look nothing is ruled out, after it made-up ids are', async () => {
  const shelf = new Shelf();
  shelf.add('shoe', 'hat');
  const known = new KnownProducts(shelf);
  assert.deepEqual([known.mayHave('made-up'), known.count], [true, undefined]);
  await known.look();
  assert.deepEqual(
    [known.mayHave('shoe'), known.mayHave('hat'), known.mayHave('made-up'), known.count],
    [true, true, false, 2],
  );
});

test('a look reads only what was added since, and nothing where nothing was', async () => {
  const shelf = new Shelf();
  shelf.add(...ids(0, 10));
  const known = new KnownProducts(shelf);
  await known.look();
  await known.look();
  shelf.add('new');
  await known.look();
  assert.deepEqual(shelf.asked, [0, 1]);
  assert.ok(known.mayHave('new') && known.mayHave('p9'));
});

test('a full filter is made anew with more room, and still rules out almost everything', async () => {
  const shelf = new Shelf();
  const known = new KnownProducts(shelf);
  await known.look();
  for (let from = 0; from < 5_000; from += 500) {
    shelf.add(...ids(from, 500));
    await known.look();
  }
  assert.ok(ids(0, 5_000).every((id) => known.mayHave(id)));
  const wrong = ids(1_000_000, 20_000).filter((id) => known.mayHave(id)).length;
  assert.ok(wrong < 60, `${wrong} of 20,000`);
});

test('another database is noticed: its version is behind', async () => {
  const shelf = new Shelf();
  shelf.add('old');
  shelf.add('older');
  const known = new KnownProducts(shelf);
  await known.look();
  shelf.reset();
  shelf.add('other');
  await known.look();
  assert.deepEqual([known.mayHave('old'), known.mayHave('other')], [false, true]);
});

test('an id that the database does not have is remembered, until it is added', async () => {
  const shelf = new Shelf();
  const known = new KnownProducts(shelf);
  known.noteMissing('ghost');
  assert.equal(known.mayHave('ghost'), false);
  for (let n = 0; n < 2_000; n++) known.noteMissing(`other-${n}`);
  assert.equal(known.mayHave('ghost'), true, 'only so many are remembered');
  known.noteMissing('ghost');
  shelf.add('ghost');
  await known.look();
  assert.equal(known.mayHave('ghost'), true);
});

test('looks at the same time share one, which began after none of them', async () => {
  const shelf = new Shelf();
  const known = new KnownProducts(shelf);
  const { promise, resolve } = Promise.withResolvers<undefined>();
  shelf.gate = promise;
  const early = known.look();
  while (shelf.looks === 0) await Promise.resolve();
  shelf.add('shoe');
  const late = [known.look(), known.look(), known.look()];
  resolve(undefined);
  await early;
  await Promise.all(late);
  assert.ok(known.mayHave('shoe'));
  assert.equal(shelf.looks, 2);
});

test('while the database is down, what was known stays known', async () => {
  const shelf = new Shelf();
  shelf.add('shoe');
  const known = new KnownProducts(shelf);
  await known.look();
  shelf.down = true;
  await assert.rejects(known.look(), /down/);
  assert.deepEqual([known.mayHave('shoe'), known.mayHave('made-up'), known.count], [true, false, 1]);
});
