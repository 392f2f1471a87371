/**
 * Keeps a store equal to what the API server holds of one kind: list, then watch, and again from where it broke off.
 * Follows client-go's tools/cache/reflector.go, and adds an idle watchdog and a periodic list that counts drift.
 */
import { ApiError, isExpired, retryAfterOf } from './api-error.ts';
import { Backoff } from './backoff.ts';
import { pause, systemClock, type Clock } from './clock.ts';
import { DriftCheck } from './drift.ts';
import { reflectorMetrics as metrics } from './metrics.ts';
import { compareVersions, keyOf, versionOf, type KubeObject } from './object.ts';
import type { ListWatch, Log, Page, Selection, WatchEvent } from './ports.ts';
import { Store, type Handlers, type ReadStore } from './store.ts';

/** client-go's delays for a server that is away. */
const BACKOFF = { firstMs: 800, mostMs: 30_000 };
/** No server is obeyed that asks to wait longer. */
const LONGEST_WAIT_MS = 5 * 60_000;
/** A watch that ends sooner and without anything new has failed. */
const SHORT_WATCH_MS = 1000;

export interface ReflectorOptions<T extends KubeObject> extends Selection {
  /** Name in logs and metrics. */
  readonly name: string;
  readonly source: ListWatch<T>;
  readonly log: Log;
  /** Objects a page; 500 where absent. */
  readonly pageSize?: number;
  /** Nothing for so long, not even a bookmark (one a minute): the connection is dead. 90 s where absent. */
  readonly idleMs?: number;
  /** How often everything is listed and compared; 30 min where absent. */
  readonly relistMs?: number;
  /** The server is asked to end each watch after one to two times this; 5 min where absent. */
  readonly watchMs?: number;
  readonly clock?: Clock;
}

type Reason = 'start' | 'expired' | 'restored' | 'periodic';

export class Reflector<T extends KubeObject> {
  readonly name: string;
  readonly #options: Required<Pick<ReflectorOptions<T>, 'pageSize' | 'idleMs' | 'relistMs' | 'watchMs' | 'clock'>> &
    ReflectorOptions<T>;
  readonly #store: Store<T>;
  readonly #backoff: Backoff;
  readonly #end = new AbortController();
  readonly #synced = Promise.withResolvers<undefined>();
  #running: Promise<void> = Promise.resolve();
  #isSynced = false;
  /** Where the watch is; undefined: list first, for the reason. */
  #version: string | undefined;
  #reason: Reason = 'start';
  /** Expired again without anything new in between: no longer at once. */
  #expiredBefore = false;
  /** Events that brought something new. */
  #changes = 0;
  #drift: DriftCheck<T> | undefined;
  #watch = new AbortController();
  #cancelRelist = (): void => undefined;

  constructor(options: ReflectorOptions<T>) {
    this.#options = {
      pageSize: 500,
      idleMs: 90_000,
      relistMs: 30 * 60_000,
      watchMs: 5 * 60_000,
      clock: systemClock,
      ...options,
    };
    this.name = options.name;
    const { log } = options;
    this.#store = new Store((error) => log.error({ err: error, reflector: this.name }, 'a handler threw'));
    this.#backoff = new Backoff(BACKOFF, this.#options.clock);
    // Nobody has to wait for it.
    this.#synced.promise.catch(() => undefined);
  }

  get store(): ReadStore<T> {
    return this.#store;
  }

  subscribe(handlers: Handlers<T>): void {
    this.#store.subscribe(handlers);
  }

  /** Begins to list and watch; does not wait for it. */
  start(): Promise<void> {
    this.#running = this.#run();
    this.#armRelist();
    return Promise.resolve();
  }

  /** Resolves once the first list is complete and in the store; rejects where stopped before. */
  synced(): Promise<void> {
    return this.#synced.promise;
  }

  ready(): boolean {
    return this.#isSynced;
  }

  async stop(): Promise<void> {
    this.#cancelRelist();
    this.#end.abort();
    this.#synced.reject(new Error(`reflector ${this.name} was stopped before its first list`));
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#end;
    const stopped = (): boolean => signal.aborted;
    while (!stopped()) {
      try {
        if (this.#version === undefined) await this.#fill(signal);
        await this.#follow(signal);
      } catch (error) {
        if (!stopped()) await pause(this.#options.clock, this.#delayAfter(error), signal);
      }
    }
  }

  /** Lists everything into the store. */
  async #fill(signal: AbortSignal): Promise<void> {
    const page = await this.#list(this.#reason, signal);
    const changes = this.#store.replace(page.items);
    this.#version = page.resourceVersion;
    this.#drift = undefined;
    this.#options.log.info({ reflector: this.name, reason: this.#reason, ...changes }, 'listed');
    metrics.items.set({ name: this.name }, this.#store.size);
    this.#isSynced = true;
    this.#synced.resolve(undefined);
  }

  async #list(reason: Reason, signal: AbortSignal): Promise<Page<T>> {
    const { source, pageSize } = this.#options;
    const items: T[] = [];
    let next: string | undefined;
    do {
      const from = next === undefined ? {} : { continue: next };
      const query = { ...this.#selection(), limit: pageSize, ...from };
      const page = await source.list(query, signal).catch((error: unknown) => {
        // The pages outlived the server's memory: all in one, as client-go's pager does.
        if (next === undefined || !isExpired(error)) throw error;
        items.length = 0;
        return source.list(this.#selection(), signal);
      });
      items.push(...page.items.map(lean));
      if (page.continue === undefined) {
        metrics.lists.inc({ name: this.name, reason });
        return { items, resourceVersion: page.resourceVersion };
      }
      next = page.continue;
    } while (!signal.aborted);
    throw new Error('stopped');
  }

  /** One watch, to its end. */
  async #follow(signal: AbortSignal): Promise<void> {
    const { clock, source, watchMs, idleMs } = this.#options;
    const watch = (this.#watch = new AbortController());
    const alive = new Watchdog(clock, idleMs, () => watch.abort(new IdleError(idleMs)));
    const from = this.#changes;
    let openedAt = Infinity;
    try {
      const query = {
        ...this.#selection(),
        resourceVersion: this.#version ?? '',
        timeoutSeconds: Math.ceil((watchMs / 1000) * (1 + clock.random())),
      };
      // A large event on a slow line takes its time: what counts is that something comes.
      const stream = await source.watch(query, AbortSignal.any([signal, watch.signal]), () => alive.feed());
      openedAt = clock.now();
      for await (const event of stream) this.#take(event);
      watch.signal.throwIfAborted();
      // Bookmarks and repetitions do not count: a server that sends one and ends each time would be asked without end.
      const short = clock.now() - openedAt < SHORT_WATCH_MS;
      if (short && this.#changes === from) throw new Error('the watch ended at once');
      this.#count('done');
    } catch (error) {
      // Streams tell of an abort in many ways; the reason is here.
      throw watch.signal.aborted ? watch.signal.reason : error;
    } finally {
      if (clock.now() - openedAt >= SHORT_WATCH_MS) this.#forgive();
      alive.end();
      watch.abort();
    }
  }

  #take(event: WatchEvent<T>): void {
    if (event.type === 'ERROR') throw new ApiError(`watch of ${this.name}`, event.object);
    if (event.type === 'BOOKMARK') this.#version = event.object.metadata.resourceVersion;
    else this.#apply(event.type, lean(event.object));
    this.#compare();
  }

  #apply(type: 'ADDED' | 'MODIFIED' | 'DELETED', object: T): void {
    this.#drift?.touch(keyOf(object));
    if (type === 'DELETED') this.#store.remove(object);
    else this.#store.put(object);
    // Events out of order must not take the watch back.
    if (compareVersions(versionOf(object), this.#version ?? '') > 0) {
      this.#version = versionOf(object);
      this.#changes += 1;
      this.#forgive();
    }
    metrics.items.set({ name: this.name }, this.#store.size);
  }

  /** The server has served: failures from now on count anew. */
  #forgive(): void {
    this.#backoff.reset();
    this.#expiredBefore = false;
  }

  /** How long to wait, ms; decides whether to list anew or to go on from where the watch was. */
  #delayAfter(error: unknown): number {
    const expired = isExpired(error);
    this.#count(expired ? 'expired' : error instanceof IdleError ? 'idle' : 'error');
    if (expired) {
      this.#relistFor('expired');
      if (!this.#expiredBefore) {
        this.#expiredBefore = true;
        return 0;
      }
    }
    // A dead connection says nothing of the server, and the wait for it was long enough.
    if (error instanceof IdleError || error instanceof RestoredError) return 0;
    const delay = Math.min(LONGEST_WAIT_MS, this.#backoff.next(retryAfterOf(error)));
    this.#options.log.warn({ reflector: this.name, err: error, retryInMs: Math.round(delay) }, 'list or watch failed');
    return delay;
  }

  #relistFor(reason: Reason): void {
    this.#version = undefined;
    this.#reason = reason;
    this.#drift = undefined;
  }

  #armRelist(): void {
    const { clock, relistMs } = this.#options;
    const wait = relistMs * (0.9 + 0.2 * clock.random());
    this.#cancelRelist = clock.after(wait, () => void this.#relist().finally(() => this.#armRelist()));
  }

  /** Lists beside the running watch; the comparison follows when the watch has come as far. */
  async #relist(): Promise<void> {
    const { signal } = this.#end;
    const before = this.#version;
    if (before === undefined) return;
    const drift = (this.#drift = new DriftCheck(this.#store));
    try {
      const page = await this.#list('periodic', signal);
      // Listed anew meanwhile.
      if (this.#drift !== drift) return;
      if (compareVersions(page.resourceVersion, before) < 0) {
        this.restart();
      } else {
        drift.listed(page);
        this.#compare();
      }
    } catch (error) {
      if (!signal.aborted) this.#options.log.warn({ reflector: this.name, err: error }, 'the periodic list failed');
    }
  }

  /**
   * Lists anew at once: for whoever saw that the server went back in time, as after a restore. The watch would wait for
   * a version that may never come, or go on from one that now is another.
   */
  restart(): void {
    this.#relistFor('restored');
    this.#watch.abort(new RestoredError('the server holds an older state than was seen'));
  }

  #compare(): void {
    const changes = this.#drift?.compare(this.#version ?? '');
    if (changes === undefined) return;
    this.#drift = undefined;
    for (const kind of ['added', 'modified', 'deleted'] as const) {
      metrics.drift.inc({ name: this.name, kind }, changes[kind]);
    }
    if (changes.added + changes.modified + changes.deleted === 0) return;
    this.#options.log.error({ reflector: this.name, ...changes }, 'the watch had lost changes');
  }

  #count(ended: 'done' | 'expired' | 'idle' | 'error'): void {
    metrics.watches.inc({ name: this.name, ended });
  }

  #selection(): Selection {
    const { namespace, labelSelector, fieldSelector } = this.#options;
    return {
      ...(namespace === undefined ? {} : { namespace }),
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
    };
  }
}

/** Without the record of who wrote which field: nobody reads it here, and it is often longer than the object. */
function lean<T extends KubeObject>(object: T): T {
  const { managedFields, ...metadata }: T['metadata'] & { readonly managedFields?: unknown } = object.metadata;
  return managedFields === undefined ? object : { ...object, metadata };
}

class IdleError extends Error {
  constructor(ms: number) {
    super(`nothing came for ${ms} ms`);
  }
}

class RestoredError extends Error {}

/** Calls `act` once it has not been fed for `ms` milliseconds. */
class Watchdog {
  readonly #arm: () => () => void;
  #cancel: () => void;

  constructor(clock: Clock, ms: number, act: () => void) {
    this.#arm = () => clock.after(ms, act);
    this.#cancel = this.#arm();
  }

  feed(): void {
    this.#cancel();
    this.#cancel = this.#arm();
  }

  end(): void {
    this.#cancel();
  }
}
