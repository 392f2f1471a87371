/** The platform that a load run needs: the one that runs on this machine, or with `--up` one that ends with the run. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { REPO } from '@flashsale/local/paths';
import { findRunning, requireRunning, type RunningPlatform } from '@flashsale/local/supervisor/running';
import { freePort } from '@flashsale/local/ports';

/** With everything still to be installed. */
const READY_MS = 600_000;

export interface Borrowed {
  readonly running: RunningPlatform;
  /** Ends the platform where it was started for this. */
  end(): Promise<void>;
}

/** Throws NotRunningError where none runs and `up` is false. */
export async function borrowPlatform(up: boolean): Promise<Borrowed> {
  const running = await findRunning();
  if (running !== undefined) return { running, end: () => Promise.resolve() };
  return up ? startPlatform() : { running: await requireRunning(), end: () => Promise.resolve() };
}

async function startPlatform(): Promise<Borrowed> {
  const dataDir = await mkdtemp(join(tmpdir(), 'flashsale-load-'));
  const main = join(REPO, 'packages/local/src/main.ts');
  const port = String(await freePort());
  const child = spawn(process.execPath, [main, 'up', '--empty', '--data', dataDir, '--port', port], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = once(child, 'close');
  const end = async (): Promise<void> => {
    // It stops its servers in order, and bounds that itself.
    child.kill('SIGTERM');
    await closed;
    await rm(dataDir, { recursive: true, force: true });
  };
  const timer = setTimeout(() => child.kill('SIGTERM'), READY_MS);
  try {
    for await (const line of createInterface({ input: child.stdout })) if (line.startsWith('ready ')) break;
    return { running: await requireRunning(), end };
  } catch (error) {
    await end();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
