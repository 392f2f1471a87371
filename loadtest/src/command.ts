/** What the commands of the load tests share: wrong use, Ctrl-C, exit codes. */
import { NotRunningError } from '@flashsale/local/supervisor/running';

/** Wrong use: the message is for the user, without a stack. */
export class UsageError extends Error {}

/** As shells have it: 128 and the number of SIGINT. */
const INTERRUPTED = 130;
const WRONG_USE = 2;

/**
 * Runs a command and sets this process's exit code: what it returns, 1 where it fails, 2 for wrong use, 130 where it was
 * interrupted. The signal is aborted by Ctrl-C; the command then cleans up and rejects.
 */
export async function runCommand(name: string, command: (signal: AbortSignal) => Promise<number>): Promise<void> {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  process.exitCode = await command(stop.signal).catch((error: unknown) => {
    if (stop.signal.aborted) console.error(`${name}: interrupted`);
    else if (error instanceof UsageError || error instanceof NotRunningError)
      console.error(`${name}: ${error.message}`);
    else console.error(error);
    if (stop.signal.aborted) return INTERRUPTED;
    return error instanceof UsageError ? WRONG_USE : 1;
  });
}
