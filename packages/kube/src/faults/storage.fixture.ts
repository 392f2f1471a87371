/** What an API server keeps: objects with versions and generations, finalizers, and a history for those who watch. */
import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Status } from '../api-error.ts';
import { compareVersions, keyOf, versionOf, type KubeObject } from '../object.ts';
import type { Page, WatchEvent } from '../ports.ts';

export interface Stored extends KubeObject {
  readonly spec?: unknown;
  readonly status?: unknown;
}

export type Change = Exclude<WatchEvent<Stored>, { type: 'BOOKMARK' | 'ERROR' }>;
/** The part of an object that a call writes: everything but its status, or its status alone. */
export type Part = 'main' | 'status';

/** What the server says where it does not do what it is asked. */
export class Refusal extends Error {
  readonly status: Status;

  constructor(code: number, reason: string, message = reason) {
    super(message);
    this.status = { kind: 'Status', code, reason, message };
  }
}

export const expired = (): Refusal => new Refusal(410, 'Expired', 'the resource version is too old');

/** Kinds are told apart by their plural name. Fields have no owners: an apply sets what it names and keeps the rest. */
export class Storage {
  readonly #kinds = new Map<string, Map<string, Stored>>();
  readonly #listeners = new Set<() => void>();
  /** Lists that are read page by page, by kind, namespace and version. */
  readonly #snapshots = new Map<string, readonly Stored[]>();
  #history: { readonly plural: string; readonly change: Change }[] = [];
  #version = 1000;
  #compacted = 1000;

  get version(): string {
    return String(this.#version);
  }

  /** Calls `act` after each change; returns how to end that. */
  onChange(act: () => void): () => void {
    this.#listeners.add(act);
    return () => this.#listeners.delete(act);
  }

  all(plural: string, namespace?: string): Stored[] {
    const objects = [...this.#kind(plural).values()].filter(
      ({ metadata }) => namespace === undefined || metadata.namespace === namespace,
    );
    return objects.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  }

  find(plural: string, key: string): Stored | undefined {
    return this.#kind(plural).get(key);
  }

  /** All pages of a list are the state of one version; 410 once the history was dropped. */
  page(plural: string, namespace: string | undefined, limit: number, from = ''): Page<Stored> {
    const [version = this.version, start = '0'] = from === '' ? [] : from.split('.');
    const id = `${plural} ${namespace ?? ''} ${version}`;
    if (from === '') this.#snapshots.set(id, this.all(plural, namespace));
    const items = this.#snapshots.get(id);
    if (!items) throw expired();
    const end = limit > 0 ? Number(start) + limit : items.length;
    const next = end < items.length ? { continue: `${version}.${end}` } : {};
    return { items: items.slice(Number(start), end), resourceVersion: version, ...next };
  }

  /** Changes after a version, oldest first; 410 where that is not remembered. */
  since(plural: string, namespace: string | undefined, version: string): Change[] {
    if (compareVersions(version, String(this.#compacted)) < 0) throw expired();
    return this.#history
      .filter((one) => one.plural === plural && compareVersions(versionOf(one.change.object), version) > 0)
      .map(({ change }) => change)
      .filter(({ object }) => namespace === undefined || object.metadata.namespace === namespace);
  }

  /** Drops the history, as etcd's compaction does: watches from before and lists begun before are expired. */
  compact(): void {
    this.#history = [];
    this.#snapshots.clear();
    // Nobody has seen this version, so everybody's is older.
    this.#version += 1;
    this.#compacted = this.#version;
    this.#ring();
  }

  create(plural: string, object: Stored): Stored {
    if (this.find(plural, keyOf(object))) throw new Refusal(409, 'AlreadyExists', `${keyOf(object)} exists`);
    const { status: _status, ...main } = object;
    const metadata = { ...object.metadata, uid: randomUUID(), creationTimestamp: new Date().toISOString() };
    return this.#put(plural, 'ADDED', { ...main, metadata: { ...metadata, generation: 1 } });
  }

  /** `edit` gets a copy of its own. 409 where it sets another resource version than the current one. */
  change(plural: string, key: string, part: Part, edit: (copy: Stored) => Stored): Stored {
    const old = this.find(plural, key);
    if (!old) throw new Refusal(404, 'NotFound', `${key} is not there`);
    const edited = edit(structuredClone(old));
    if (edited.metadata.resourceVersion !== old.metadata.resourceVersion) {
      throw new Refusal(409, 'Conflict', `${key} was changed meanwhile`);
    }
    const next = part === 'status' ? { ...old, status: edited.status } : withMain(old, edited);
    if (isDeepStrictEqual(next, old)) return old;
    const { deletionTimestamp, finalizers = [] } = next.metadata;
    const gone = deletionTimestamp !== undefined && finalizers.length === 0;
    return this.#put(plural, gone ? 'DELETED' : 'MODIFIED', next);
  }

  /** An object with finalizers stays, marked, until the last of them is taken away. */
  remove(plural: string, key: string): void {
    const old = this.find(plural, key);
    if (!old) throw new Refusal(404, 'NotFound', `${key} is not there`);
    if ((old.metadata.finalizers ?? []).length === 0) {
      this.#put(plural, 'DELETED', old);
    } else if (old.metadata.deletionTimestamp === undefined) {
      const generation = (old.metadata.generation ?? 0) + 1;
      const metadata = { ...old.metadata, generation, deletionTimestamp: new Date().toISOString() };
      this.#put(plural, 'MODIFIED', { ...old, metadata });
    }
  }

  #put(plural: string, type: Change['type'], object: Stored): Stored {
    this.#version += 1;
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: this.version } };
    if (type === 'DELETED') this.#kind(plural).delete(keyOf(stored));
    else this.#kind(plural).set(keyOf(stored), stored);
    this.#history.push({ plural, change: { type, object: stored } });
    this.#ring();
    return stored;
  }

  #kind(plural: string): Map<string, Stored> {
    const known = this.#kinds.get(plural) ?? new Map<string, Stored>();
    this.#kinds.set(plural, known);
    return known;
  }

  #ring(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** What an owner wrote, with what is the server's own. */
function withMain(old: Stored, edited: Stored): Stored {
  const { uid, creationTimestamp, deletionTimestamp, generation = 0 } = old.metadata;
  const changed = !isDeepStrictEqual(edited.spec, old.spec);
  const own = { uid, creationTimestamp, deletionTimestamp, generation: changed ? generation + 1 : generation };
  const known = Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined));
  const { status: _status, ...main } = edited;
  const next = { ...main, metadata: { ...edited.metadata, ...known } };
  return old.status === undefined ? next : { ...next, status: old.status };
}
