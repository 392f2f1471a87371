/**
 * Decides the order of everything: what happens next is the event with the earliest simulated time. Between two events
 * all promises that can go on do, so that a run depends on nothing but its events.
 */
import type { Life } from './life.ts';

interface Event {
  readonly at: number;
  readonly order: number;
  /** The process that goes on; undefined: the world itself. */
  readonly life: Life | undefined;
  readonly act: () => void;
  cancelled: boolean;
}

export type Cancel = () => void;

/** The real one, before anything replaces it. */
const turn = globalThis.setImmediate;
const nextTurn = (): Promise<void> => new Promise((resolve) => void turn(resolve));

export class Scheduler {
  /** Simulated ms since the beginning. */
  now = 0;
  /** The process whose code runs. */
  current: Life | undefined;
  /** Events carried out. */
  steps = 0;
  /** What code of a simulated process threw where nobody caught it. */
  failure: unknown;
  #order = 0;
  readonly #heap: Event[] = [];

  /** Carries `act` out `delayMs` from now, unless its process has died. */
  after(delayMs: number, life: Life | undefined, act: () => void): Cancel {
    const event = { at: this.now + Math.max(delayMs, 0), order: this.#order++, life, act, cancelled: false };
    this.#push(event);
    return () => {
      event.cancelled = true;
    };
  }

  /** Runs until `isOver`, or until simulated time or events run out. True where it was over. */
  async run(isOver: () => boolean, untilMs: number, maxSteps: number): Promise<boolean> {
    while (!isOver() && this.failure === undefined) {
      const event = this.#pop();
      if (!event || event.at > untilMs || this.steps >= maxSteps) return false;
      if (!event.cancelled && event.life?.alive !== false) await this.#reach(event);
    }
    return this.failure === undefined;
  }

  async #reach(event: Event): Promise<void> {
    this.now = Math.max(this.now, event.at);
    const { pausedUntil = 0 } = event.life ?? {};
    if (pausedUntil > this.now) this.#push({ ...event, at: pausedUntil });
    else await this.#carryOut(event);
  }

  async #carryOut({ life, act }: Event): Promise<void> {
    this.steps++;
    this.current = life;
    try {
      act();
    } catch (error) {
      this.failure = error;
    }
    await nextTurn();
    this.current = undefined;
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent] as Event;
      if (!isEarlier(event, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): Event | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (!first || !last || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isEarlier(heap[child + 1] as Event, heap[child] as Event)) child++;
      if (!isEarlier(heap[child] as Event, last)) break;
      heap[at] = heap[child] as Event;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

const isEarlier = (a: Event, b: Event): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);
