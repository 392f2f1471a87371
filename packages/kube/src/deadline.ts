/** Work with a signal that aborts at a deadline. */
import type { Clock } from './clock.ts';

/**
 * Runs `work` with a signal that aborts after `ms` milliseconds or with `outer`, and waits for its real end: work that
 * ignores the signal is late, never doubled. What it throws after its deadline says so.
 */
export async function withTimeout<T>(
  clock: Clock,
  ms: number,
  outer: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const own = new AbortController();
  const cancel = clock.after(ms, () => own.abort(new Error(`not done within ${ms} ms`)));
  try {
    return await work(AbortSignal.any([outer, own.signal]));
  } catch (error) {
    throw own.signal.aborted ? new Error(`not done within ${ms} ms`, { cause: error }) : error;
  } finally {
    cancel();
  }
}
