/** Starts one service as a child process and waits for its /readyz. */
import { join } from 'node:path';
import { startChild, untilReady } from '../child.ts';
import type { Launched } from './supervised.ts';

/** Drain and stop of a service take at most 25 s (packages/platform/src/run.ts). */
const STOP_MS = 27_000;
const READY_MS = 60_000;
const PROBE_MS = 2000;

export interface LaunchOptions {
  /** Names its log and its pid file. */
  readonly name: string;
  readonly entry: string;
  readonly env: Readonly<Record<string, string>>;
  readonly adminPort: number;
  readonly dataDir: string;
}

/** Resolves when the service is ready. Throws with the end of its log where it ends before, or is not ready in time. */
export async function launchService(options: LaunchOptions, signal: AbortSignal): Promise<Launched> {
  const { name, dataDir, adminPort } = options;
  const child = await startChild({
    name,
    command: [process.execPath, options.entry],
    env: { ...process.env, ...compileCache(dataDir), ...options.env },
    logFile: join(dataDir, 'logs', `${name}.log`),
    pidFile: join(dataDir, 'run', `${name}.pid`),
    stopSignal: 'SIGTERM',
    stopMs: STOP_MS,
  });
  const end = (): void => void child.stop();
  signal.addEventListener('abort', end, { once: true });
  try {
    await untilReady(child, READY_MS, () => isReady(adminPort));
  } catch (error) {
    await child.stop();
    throw error;
  } finally {
    signal.removeEventListener('abort', end);
  }
  return child;
}

/** True where /readyz of the admin port answers 200 now. */
export async function isReady(adminPort: number): Promise<boolean> {
  const answer = await fetch(`http://127.0.0.1:${adminPort}/readyz`, { signal: AbortSignal.timeout(PROBE_MS) });
  await answer.body?.cancel();
  return answer.status === 200;
}

/** Compiled code of the services is kept between starts; not under coverage, which it would make less exact. */
function compileCache(dataDir: string): NodeJS.ProcessEnv {
  if (process.env['NODE_V8_COVERAGE'] !== undefined) return {};
  return { NODE_COMPILE_CACHE: join(dataDir, 'run', 'compile-cache') };
}
