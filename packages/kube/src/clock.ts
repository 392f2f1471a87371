/** Time as the engine sees it: a port, so that tests run minutes in milliseconds. */

export interface Clock {
  /** Milliseconds of a clock that never jumps; only differences mean something. */
  now(): number;
  /** The wall clock, for what others read. */
  date(): Date;
  /** Calls `act` once after `ms` milliseconds, which may be many days. Returns how to call it off. */
  after(ms: number, act: () => void): () => void;
  /** Evenly from [0, 1). */
  random(): number;
}

/** Timers of Node overflow beyond this and would fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => performance.now(),
  date: () => new Date(),
  after: (ms, act) => {
    const due = performance.now() + ms;
    let timer: NodeJS.Timeout;
    const arm = (): void => {
      const left = Math.max(0, due - performance.now());
      timer = setTimeout(left > LONGEST_TIMER_MS ? arm : act, Math.min(left, LONGEST_TIMER_MS));
    };
    arm();
    return () => clearTimeout(timer);
  },
  random: () => Math.random(),
};

/** Resolves after `ms` milliseconds, or at once where `signal` is or becomes aborted; never rejects. */
export function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    if (signal.aborted) {
      done();
      return;
    }
    const cancel = clock.after(ms, () => {
      signal.removeEventListener('abort', stop);
      done();
    });
    const stop = (): void => {
      cancel();
      done();
    };
    signal.addEventListener('abort', stop, { once: true });
  });
}
