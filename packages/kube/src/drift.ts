/** Compares a fresh list with a store that a watch keeps moving, and mends what the watch lost or kept wrongly. */
import { compareVersions, keyOf, type KubeObject } from './object.ts';
import type { Page } from './ports.ts';
import type { Changes, Store } from './store.ts';

/**
 * The list is of version L, and the watch was at W <= L when it was asked for. Once the watch has passed L, an object
 * without an event since W must be in the store exactly as in the list.
 */
export class DriftCheck<T extends KubeObject> {
  readonly #store: Store<T>;
  readonly #touched = new Set<string>();
  #page: Page<T> | undefined;

  /** To be made before the list is asked for. */
  constructor(store: Store<T>) {
    this.#store = store;
  }

  touch(key: string): void {
    this.#touched.add(key);
  }

  listed(page: Page<T>): void {
    this.#page = page;
  }

  /** With the watch at `version`: what was mended, or undefined where it is too early to compare. */
  compare(version: string): Changes | undefined {
    const page = this.#page;
    if (page === undefined || compareVersions(version, page.resourceVersion) < 0) return undefined;
    const untouched = (object: T): boolean => !this.#touched.has(keyOf(object));
    const changes = { added: 0, modified: 0, deleted: 0 };
    for (const item of page.items.filter(untouched)) {
      const change = this.#store.set(item);
      if (change !== undefined) changes[change] += 1;
    }
    const listed = new Set(page.items.map(keyOf));
    const stale = [...this.#store.values()].filter((held) => untouched(held) && !listed.has(keyOf(held)));
    for (const held of stale) this.#store.remove(held);
    return { ...changes, deleted: stale.length };
  }
}
