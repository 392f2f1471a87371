/**
 * Work by key: a key waits once however often it is added, and is never worked on twice at a time. Follows client-go's
 * util/workqueue: what is added during its work is worked on again afterwards.
 */
import { exponential, TokenBucket, type BackoffOptions } from './backoff.ts';
import { systemClock, type Clock } from './clock.ts';
import { measure, workqueue as metrics } from './metrics.ts';

export interface QueueOptions {
  /** Name in the metrics. */
  readonly name: string;
  /** Of one key that fails again and again; 5 ms doubled up to 1000 s where absent. */
  readonly backoff?: BackoffOptions;
  /** Of all retries together; 10 a second, 100 at once where absent. */
  readonly bucket?: { readonly perSecond: number; readonly burst: number };
  readonly clock?: Clock;
}

const ASKED_SPREAD = 0.5;

interface Waiting {
  readonly dueAt: number;
  readonly cancel: () => void;
}

export class WorkQueue {
  readonly name: string;
  readonly #clock: Clock;
  readonly #backoff: BackoffOptions;
  readonly #bucket: TokenBucket;
  /** In order of arrival. Never holds a key that is being worked on. */
  readonly #queue = new Map<string, undefined>();
  /** When each key was added that is to be worked on: those in the queue, and those to come again. */
  readonly #dirty = new Map<string, number>();
  /** When the work on each key began. */
  readonly #processing = new Map<string, number>();
  readonly #waiting = new Map<string, Waiting>();
  readonly #failures = new Map<string, number>();
  readonly #takers: ((key: string | undefined) => void)[] = [];
  readonly #unmeasure: () => void;
  #closed = false;
  #idlers: (() => void)[] = [];

  constructor(options: QueueOptions) {
    const { name, clock = systemClock } = options;
    this.name = name;
    this.#clock = clock;
    this.#backoff = options.backoff ?? { firstMs: 5, mostMs: 1_000_000 };
    const { perSecond, burst } = options.bucket ?? { perSecond: 10, burst: 100 };
    this.#bucket = new TokenBucket(perSecond, burst, clock);
    this.#unmeasure = measure({ name, ages: () => [...this.#processing.values()].map((at) => this.#secondsSince(at)) });
  }

  /** Keys that wait for a worker. */
  get size(): number {
    return this.#queue.size;
  }

  add(key: string): void {
    if (this.#closed || this.#dirty.has(key)) return;
    metrics.adds.inc({ name: this.name });
    this.#dirty.set(key, this.#clock.now());
    if (!this.#processing.has(key)) this.#push(key);
  }

  /** Adds the key in `ms` milliseconds; where it waits already, the earlier time counts. */
  addAfter(key: string, ms: number): void {
    if (this.#closed) return;
    if (ms <= 0) {
      this.add(key);
      return;
    }
    const dueAt = this.#clock.now() + ms;
    const before = this.#waiting.get(key);
    if (before !== undefined && before.dueAt <= dueAt) return;
    before?.cancel();
    const cancel = this.#clock.after(ms, () => {
      this.#waiting.delete(key);
      this.add(key);
    });
    this.#waiting.set(key, { dueAt, cancel });
  }

  /**
   * Adds the key again after a failure: later the more often it failed, and the more others fail. `atLeastMs`: how long
   * a server asked to wait; spread upwards, or all that it refused would come back at one instant.
   */
  addRateLimited(key: string, atLeastMs = 0): void {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    metrics.retries.inc({ name: this.name });
    const asked = atLeastMs * (1 + ASKED_SPREAD * this.#clock.random());
    this.addAfter(key, Math.max(exponential(this.#backoff, failures), this.#bucket.reserve(), asked));
  }

  /** The key's next failure counts as its first. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** How often the key failed in a row. */
  failures(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  /** The next key, once there is one; undefined when the queue is closed and empty. Each key needs its `done`. */
  take(): Promise<string | undefined> {
    const [first] = this.#queue.keys();
    if (first !== undefined) {
      this.#queue.delete(first);
      this.#begin(first);
      return Promise.resolve(first);
    }
    if (this.#closed) return Promise.resolve(undefined);
    return new Promise((taken) => this.#takers.push(taken));
  }

  done(key: string): void {
    const began = this.#processing.get(key);
    if (began === undefined) return;
    this.#processing.delete(key);
    metrics.workDuration.observe({ name: this.name }, this.#secondsSince(began));
    if (this.#dirty.has(key)) this.#push(key);
    else this.#settle();
  }

  /** Resolves when no key is in the queue and none is being worked on; keys that wait for their time do not count. */
  idle(): Promise<void> {
    return this.#isIdle() ? Promise.resolve() : new Promise((done) => this.#idlers.push(done));
  }

  /**
   * Takes no more keys and forgets those that wait for their time; resolves when no work is under way. With `drain`
   * the keys in the queue are still handed out, without it they are dropped.
   */
  async shutdown({ drain }: { readonly drain: boolean }): Promise<void> {
    this.#closed = true;
    for (const { cancel } of this.#waiting.values()) cancel();
    this.#waiting.clear();
    if (!drain) {
      this.#queue.clear();
      metrics.depth.set({ name: this.name }, 0);
      this.#dirty.clear();
    }
    this.#settle();
    await this.idle();
  }

  #push(key: string): void {
    const taker = this.#takers.shift();
    if (taker === undefined) {
      this.#queue.set(key, undefined);
      metrics.depth.set({ name: this.name }, this.#queue.size);
      return;
    }
    this.#begin(key);
    taker(key);
  }

  #begin(key: string): void {
    const addedAt = this.#dirty.get(key) ?? this.#clock.now();
    this.#dirty.delete(key);
    this.#processing.set(key, this.#clock.now());
    metrics.depth.set({ name: this.name }, this.#queue.size);
    metrics.queueDuration.observe({ name: this.name }, this.#secondsSince(addedAt));
  }

  #isIdle(): boolean {
    return this.#queue.size + this.#processing.size === 0;
  }

  #settle(): void {
    if (!this.#isIdle()) return;
    for (const idler of this.#idlers.splice(0)) idler();
    if (!this.#closed) return;
    for (const taker of this.#takers.splice(0)) taker(undefined);
    this.#unmeasure();
  }

  #secondsSince(at: number): number {
    return (this.#clock.now() - at) / 1000;
  }
}
