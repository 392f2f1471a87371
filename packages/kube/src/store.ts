/** The last known state of the objects of one kind, by `namespace/name`, and who is told of its changes. */
import { compareVersions, keyOf, versionOf, type KubeObject } from './object.ts';

export interface Handlers<T> {
  added?(object: T): void;
  /** `old` is what the store held before. */
  modified?(object: T, old: T): void;
  /** The last state that is known; after a gap in the watch it may be an older one. */
  deleted?(object: T): void;
}

export interface Changes {
  readonly added: number;
  readonly modified: number;
  readonly deleted: number;
}

/** Read it as you like; the objects are shared: never change them. */
export interface ReadStore<T extends KubeObject> {
  get(key: string): T | undefined;
  values(): IterableIterator<T>;
  readonly size: number;
}

/** Deletions that are remembered: those of the last moments are enough, a periodic list mends the rest. */
const MOST_GONE = 1000;

export class Store<T extends KubeObject> implements ReadStore<T> {
  readonly #objects = new Map<string, T>();
  /** Versions of the last deletions, by key: an event of before its object's deletion must not bring it back. */
  readonly #gone = new Map<string, string>();
  readonly #handlers: Handlers<T>[] = [];
  readonly #onError: (error: unknown) => void;

  /** `onError` hears what handlers throw; the other handlers and the store go on. */
  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  get size(): number {
    return this.#objects.size;
  }

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  values(): IterableIterator<T> {
    return this.#objects.values();
  }

  /** Objects that are there already are told as added. */
  subscribe(handlers: Handlers<T>): void {
    this.#handlers.push(handlers);
    for (const object of this.#objects.values()) this.#safely(() => handlers.added?.(object));
  }

  /** Takes an object in. What is not newer than what is held changes nothing: duplicates and events out of order. */
  put(object: T): void {
    const key = keyOf(object);
    const old = this.#objects.get(key);
    const known = old === undefined ? this.#gone.get(key) : versionOf(old);
    if (known === undefined || compareVersions(versionOf(object), known) > 0) this.set(object);
  }

  /** Takes an object in as the truth, also where its version is older: a cluster restored from a backup goes back. */
  set(object: T): keyof Changes | undefined {
    const key = keyOf(object);
    const old = this.#objects.get(key);
    if (old === undefined) {
      this.#objects.set(key, object);
      this.#tell((handlers) => handlers.added?.(object));
      return 'added';
    }
    if (old.metadata.uid !== object.metadata.uid) {
      // Deleted and made again: that it was gone in between must not be missed.
      this.remove(old);
      this.set(object);
      return 'modified';
    }
    if (versionOf(old) === versionOf(object)) return undefined;
    this.#objects.set(key, object);
    this.#tell((handlers) => handlers.modified?.(object, old));
    return 'modified';
  }

  /** Lets an object go, unless what is held is newer than `object`. */
  remove(object: T): boolean {
    const key = keyOf(object);
    const old = this.#objects.get(key);
    this.#bury(key, versionOf(object));
    if (old === undefined || compareVersions(versionOf(object), versionOf(old)) < 0) return false;
    this.#objects.delete(key);
    // The state in a DELETED event is the newest, unless it is of another object of that name.
    const last = old.metadata.uid === object.metadata.uid ? object : old;
    this.#tell((handlers) => handlers.deleted?.(last));
    return true;
  }

  /** Makes the store equal to `items`, and counts what differed. */
  replace(items: Iterable<T>): Changes {
    const changes = { added: 0, modified: 0, deleted: 0 };
    const present = new Set<string>();
    for (const item of items) {
      present.add(keyOf(item));
      const change = this.set(item);
      if (change !== undefined) changes[change] += 1;
    }
    for (const [key, object] of this.#objects) {
      if (present.has(key)) continue;
      this.remove(object);
      changes.deleted += 1;
    }
    // A cluster that was restored from a backup counts its versions from an earlier one.
    this.#gone.clear();
    return changes;
  }

  #bury(key: string, version: string): void {
    const before = this.#gone.get(key) ?? '';
    this.#gone.delete(key);
    this.#gone.set(key, compareVersions(version, before) > 0 ? version : before);
    const [oldest] = this.#gone.keys();
    if (this.#gone.size > MOST_GONE && oldest !== undefined) this.#gone.delete(oldest);
  }

  #tell(act: (handlers: Handlers<T>) => void): void {
    for (const handlers of this.#handlers) this.#safely(() => act(handlers));
  }

  #safely(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#onError(error);
    }
  }
}
