/** What the engine needs of an API server. `client.ts` carries it out over HTTP; tests may stand in for it. */
import type { Status } from './api-error.ts';
import type { KubeObject, ObjectName } from './object.ts';

export interface Selection {
  /** All namespaces where absent. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface ListQuery extends Selection {
  readonly limit?: number;
  readonly continue?: string;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Version of the whole list, the same on each of its pages. */
  readonly resourceVersion: string;
  /** Where the next page begins; absent on the last. */
  readonly continue?: string;
}

export interface WatchQuery extends Selection {
  readonly resourceVersion: string;
  /** The server ends the watch after this. */
  readonly timeoutSeconds: number;
}

export type WatchEvent<T> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  | { readonly type: 'BOOKMARK'; readonly object: { readonly metadata: { readonly resourceVersion: string } } }
  | { readonly type: 'ERROR'; readonly object: Status };

/** Reads a kind of objects and follows its changes. */
export interface ListWatch<T extends KubeObject> {
  list(query: ListQuery, signal?: AbortSignal): Promise<Page<T>>;
  /**
   * Bookmarks are asked for. The events end where the server ends the watch, and throw where the connection breaks.
   * `heard` is called whenever something comes, also a part of an event.
   */
  watch(query: WatchQuery, signal: AbortSignal, heard: () => void): Promise<AsyncIterable<WatchEvent<T>>>;
}

export type PatchType = 'json' | 'merge' | 'apply';

export interface WriteOptions {
  /** `status`, `scale`, …: the part that is written. */
  readonly subresource?: string;
}

/** All that one does with a kind of objects. Every call has a deadline and throws ApiError where the server refuses. */
export interface ResourceApi<T extends KubeObject> extends ListWatch<T> {
  get(name: ObjectName, options?: WriteOptions): Promise<T>;
  create(object: T): Promise<T>;
  /** Refused (409) where `metadata.resourceVersion` is not the current one. */
  replace(object: T, options?: WriteOptions): Promise<T>;
  jsonPatch(name: ObjectName, patch: readonly JsonPatch[], options?: WriteOptions): Promise<T>;
  mergePatch(name: ObjectName, patch: unknown, options?: WriteOptions): Promise<T>;
  /**
   * Server-side apply under the client's field manager, by force: what this manager sets, it owns; what it set before
   * and leaves out now, goes (kubernetes.io/docs/reference/using-api/server-side-apply).
   */
  apply(object: Partial<T> & { readonly metadata: ObjectName }, options?: WriteOptions): Promise<T>;
  /** Waits for no finalizer. */
  remove(name: ObjectName, preconditions?: { readonly uid: string }): Promise<void>;
}

/** RFC 6902. */
export type JsonPatch =
  | { readonly op: 'add' | 'replace' | 'test'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string };

/** Where the engine tells what it does. pino's loggers are one. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
