/** One process that is kept alive: a crash is noticed, told, and answered by a restart, at a bounded rate, for ever. */
import { setTimeout as sleep } from 'node:timers/promises';

/** A process that is up and ready. */
export interface Launched {
  readonly pid: number;
  readonly exited: Promise<string>;
  stop(): Promise<void>;
}

export type State = 'waiting' | 'starting' | 'ready' | 'restarting' | 'stopping' | 'stopped' | 'failed';

export interface SupervisedOptions {
  readonly name: string;
  /** Resolves once it is ready. The signal aborts: the launch must end what it began, and reject. */
  readonly launch: (signal: AbortSignal) => Promise<Launched>;
  readonly onState: (name: string, state: State, detail?: string) => void;
  /** Wait before the first restart; doubles up to `maxBackoffMs`. */
  readonly backoffMs?: number;
  readonly maxBackoffMs?: number;
  /** A process that ran this long starts again at the first backoff. */
  readonly stableMs?: number;
}

/** Launches that may fail before `start` gives up. */
const FIRST_TRIES = 2;

export class Supervised {
  readonly name: string;
  readonly #options: Required<SupervisedOptions>;
  readonly #stop = new AbortController();
  #current: Launched | undefined;
  #watch: Promise<void> = Promise.resolve();
  #first: Promise<void> | undefined;
  #state: State = 'waiting';
  restarts = 0;

  constructor(options: SupervisedOptions) {
    this.name = options.name;
    this.#options = { backoffMs: 500, maxBackoffMs: 15_000, stableMs: 30_000, ...options };
  }

  get state(): State {
    return this.#state;
  }

  get pid(): number | undefined {
    return this.#current?.pid;
  }

  /** Resolves when it is ready for the first time; throws where that fails twice. Then watches it. */
  start(): Promise<void> {
    this.#first ??= this.#start();
    return this.#first;
  }

  /** Stops it for good; also while it starts or waits for a restart. */
  async stop(): Promise<void> {
    if (this.#stop.signal.aborted) return this.#watch;
    this.#set('stopping');
    this.#stop.abort();
    await this.#first?.catch(() => undefined);
    await this.#current?.stop();
    await this.#watch;
    this.#set('stopped');
  }

  async #start(): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.#launch();
        break;
      } catch (error) {
        if (attempt >= FIRST_TRIES || this.#stopping()) {
          this.#set('failed');
          throw error;
        }
      }
    }
    this.#watch = this.#keepAlive();
  }

  async #launch(): Promise<void> {
    if (this.#stopping()) throw new Error(`${this.name} is being stopped`);
    this.#set('starting');
    this.#current = await this.#options.launch(this.#stop.signal);
    this.#set('ready');
  }

  async #keepAlive(): Promise<void> {
    const { backoffMs, maxBackoffMs, stableMs } = this.#options;
    let wait = backoffMs;
    while (!this.#stopping()) {
      const since = Date.now();
      const reason = await this.#current?.exited;
      if (this.#stopping()) return;
      if (Date.now() - since > stableMs) wait = backoffMs;
      let problem = `ended (${reason ?? '?'})`;
      let up = false;
      while (!up && !this.#stopping()) {
        this.restarts += 1;
        this.#set('restarting', `${problem}; starts again in ${wait / 1000} s`);
        await sleep(wait, undefined, { signal: this.#stop.signal }).catch(() => undefined);
        wait = Math.min(wait * 2, maxBackoffMs);
        up = await this.#launch().then(
          () => true,
          (error: unknown) => {
            problem = error instanceof Error ? error.message : String(error);
            return false;
          },
        );
      }
    }
  }

  #stopping(): boolean {
    return this.#stop.signal.aborted;
  }

  #set(state: State, detail?: string): void {
    if (this.#stopping() && state !== 'stopping' && state !== 'stopped') return;
    this.#state = state;
    this.#options.onState(this.name, state, detail);
  }
}
