/** Simulated time for many processes: each has a clock of its own rate, and may stand still. */
import { setImmediate } from 'node:timers/promises';
import type { Clock } from './clock.ts';

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly owner: Process | undefined;
  readonly act: () => void;
}

export interface Process {
  /** How fast its clock runs. */
  readonly rate: number;
  /** Until when it stands still, in world time: its timers wait, its clock does not. */
  pausedUntil: number;
}

export class World {
  now = 0;
  readonly #timers = new Set<Timer>();
  readonly #random: () => number;
  #order = 0;

  constructor(random: () => number = () => 0.5) {
    this.#random = random;
  }

  clock(process: Process = { rate: 1, pausedUntil: 0 }): Clock {
    return {
      now: () => this.now * process.rate,
      date: () => new Date(Date.UTC(2026, 0) + this.now),
      after: (ms, act) => this.after(Math.max(0, ms) / process.rate, act, process),
      random: this.#random,
    };
  }

  after(ms: number, act: () => void, owner?: Process): () => void {
    const timer = { at: this.now + ms, order: (this.#order += 1), owner, act };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Resolves in `ms` of world time, later where the process stands still then. */
  wait(ms: number, owner?: Process): Promise<void> {
    return new Promise((done) => this.after(ms, done, owner));
  }

  /** Lets `ms` pass; `each` is called after all that happened at an instant. */
  async run(ms: number, each: () => void = () => undefined): Promise<void> {
    const end = this.now + ms;
    for (;;) {
      // What is due may arm timers in promises that follow: those come first.
      await setImmediate();
      each();
      const next = this.#next();
      if (next === undefined || this.#dueOf(next) > end) break;
      this.#timers.delete(next);
      this.now = Math.max(this.now, this.#dueOf(next));
      next.act();
    }
    this.now = end;
    each();
  }

  #next(): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) {
      const sooner = first === undefined || this.#dueOf(timer) < this.#dueOf(first);
      if (sooner || (first !== undefined && this.#dueOf(timer) === this.#dueOf(first) && timer.order < first.order)) {
        first = timer;
      }
    }
    return first;
  }

  #dueOf({ at, owner }: Timer): number {
    return Math.max(at, owner?.pausedUntil ?? 0);
  }
}

/** Says nothing. */
export const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
