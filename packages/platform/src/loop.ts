/** Background loops: a step again and again, never two at once, slower while it fails. */
import type { Logger } from './log.ts';
import type { Part } from './run.ts';

/** Longest pause between two failing steps, in ms. */
const MAX_BACKOFF_MS = 30_000;
/** Shortest pause after a failing step, in ms, so that a fast loop does not spin on a dead server. */
const MIN_BACKOFF_MS = 100;

/**
 * Runs `step` every `everyMs` (counted from the end of the last one, with 10 % jitter) once started.
 * `kick()` runs it soon; kicks during a step are answered by one more step after it; kicks during a backoff wait for
 * its end. After an error the pause doubles up to 30 s, with jitter. `signal` aborts when the drain begins: the step
 * finishes what it has begun and begins nothing new; the drain waits for it.
 */
export function loop(
  name: string,
  log: Logger,
  everyMs: number,
  step: (signal: AbortSignal) => Promise<void>,
): Part & { kick(): void } {
  const stopping = new AbortController();
  let underWay: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let kicked = false;
  let failures = 0;

  const pauseMs = (): number => {
    if (failures > 0) return backoffMs(everyMs, failures);
    return kicked ? 0 : everyMs * (0.9 + Math.random() * 0.2);
  };
  const schedule = (): void => {
    clearTimeout(timer);
    if (!stopping.signal.aborted) timer = setTimeout(begin, pauseMs());
  };
  const attempt = async (): Promise<void> => {
    try {
      await step(stopping.signal);
      failures = 0;
    } catch (error) {
      if (stopping.signal.aborted) return;
      failures += 1;
      log.warn({ loop: name, failures, err: error }, 'a step of a loop failed');
    }
  };
  function begin(): void {
    kicked = false;
    underWay = attempt().finally(() => {
      underWay = undefined;
      schedule();
    });
  }

  let started = false;
  return {
    name,
    start: () => {
      started = true;
      begin();
      return Promise.resolve();
    },
    kick: () => {
      if (kicked || !started) return;
      kicked = true;
      if (underWay === undefined && failures === 0) schedule();
    },
    drain: async () => {
      stopping.abort();
      clearTimeout(timer);
      await underWay;
    },
  };
}

/** Doubles from the loop's own pace; half of it is random, so that the replicas do not come back together. */
function backoffMs(everyMs: number, failures: number): number {
  const base = Math.max(everyMs, MIN_BACKOFF_MS);
  const ceiling = Math.min(base * 2 ** Math.min(failures - 1, 16), Math.max(base, MAX_BACKOFF_MS));
  return ceiling * (0.5 + Math.random() / 2);
}
