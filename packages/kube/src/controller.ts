/** Workers that take keys from a queue and reconcile them; what one key throws is that key's matter alone. */
import { retryAfterOf } from './api-error.ts';
import { withTimeout } from './deadline.ts';
import { systemClock, type Clock } from './clock.ts';
import { controllerRuntime as metrics } from './metrics.ts';
import type { Log } from './ports.ts';
import { WorkQueue } from './queue.ts';

/** No server is obeyed that asks to wait longer. */
const LONGEST_WAIT_MS = 5 * 60_000;

/** No retry can mend it: the key rests until its object changes. */
export class TerminalError extends Error {
  override readonly name = 'TerminalError';
}

/** Nothing: until the object changes. */
export type Result = undefined | { readonly requeueAfterMs: number };

/** Brings the world to what the object of `key` asks for. `signal` aborts at the deadline and at the stop. */
export type Reconcile = (key: string, signal: AbortSignal) => Promise<Result>;

export interface ControllerOptions {
  /** Name in logs and metrics. */
  readonly name: string;
  readonly reconcile: Reconcile;
  readonly log: Log;
  /** 1 where absent. */
  readonly workers?: number;
  /** After this `signal` aborts, ms; 2 min where absent. The key stays taken until its work has really ended. */
  readonly deadlineMs?: number;
  readonly queue?: WorkQueue;
  readonly clock?: Clock;
}

export class Controller {
  readonly name: string;
  readonly queue: WorkQueue;
  readonly #options: ControllerOptions;
  readonly #clock: Clock;
  readonly #abort = new AbortController();
  #workers: Promise<unknown> = Promise.resolve();

  constructor(options: ControllerOptions) {
    const { name, clock = systemClock } = options;
    this.name = name;
    this.queue = options.queue ?? new WorkQueue({ name, clock });
    this.#options = options;
    this.#clock = clock;
  }

  /** Begins to work; does not wait for it. To be called when the stores it reads are synced. */
  start(): Promise<void> {
    const { workers = 1 } = this.#options;
    metrics.mostWorkers.set({ controller: this.name }, workers);
    this.#workers = Promise.all(Array.from({ length: workers }, () => this.#work()));
    return Promise.resolve();
  }

  /** Takes no new key and waits for the work under way; what is in the queue is left to who starts next. */
  async drain(): Promise<void> {
    await this.queue.shutdown({ drain: false });
    await this.#workers;
  }

  /** Aborts the work under way, and waits until it has ended. */
  async stop(): Promise<void> {
    this.#abort.abort(new Error(`${this.name} is being stopped`));
    await this.drain();
  }

  async #work(): Promise<void> {
    for (let key = await this.queue.take(); key !== undefined; key = await this.queue.take()) {
      const labels = { controller: this.name };
      metrics.activeWorkers.inc(labels);
      const startedAt = this.#clock.now();
      await this.#reconcile(key);
      metrics.time.observe(labels, (this.#clock.now() - startedAt) / 1000);
      metrics.activeWorkers.dec(labels);
      this.queue.done(key);
    }
  }

  async #reconcile(key: string): Promise<void> {
    const { reconcile, deadlineMs = 120_000 } = this.#options;
    try {
      const work = (signal: AbortSignal): Promise<Result> => reconcile(key, signal);
      this.#succeeded(key, await withTimeout(this.#clock, deadlineMs, this.#abort.signal, work));
    } catch (error) {
      this.#failed(key, error);
    }
  }

  #succeeded(key: string, result: Result): void {
    this.queue.forget(key);
    if (result !== undefined) this.queue.addAfter(key, result.requeueAfterMs);
    this.#count(result === undefined ? 'success' : 'requeue_after');
  }

  #failed(key: string, error: unknown): void {
    const terminal = error instanceof TerminalError;
    metrics.errors.inc({ controller: this.name });
    this.#count('error');
    if (terminal) {
      metrics.terminalErrors.inc({ controller: this.name });
      this.queue.forget(key);
    } else {
      this.queue.addRateLimited(key, Math.min(retryAfterOf(error), LONGEST_WAIT_MS));
    }
    this.#options.log.error({ controller: this.name, key, err: error, terminal }, 'reconcile failed');
  }

  #count(result: 'success' | 'requeue_after' | 'error'): void {
    metrics.reconciles.inc({ controller: this.name, result });
  }
}
