/** `flashsale down`: stops the running platform; its data stays. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import { endByPidFile, writePidFile } from '../pid.ts';
import { step } from '../progress.ts';
import { endLeftovers } from '../supervisor/leftovers.ts';
import { requireRunning } from '../supervisor/running.ts';

/** Draining all services and servers one after the other, at their longest. */
const STOP_MS = 150_000;

export function downCommand(): Command {
  return new Command('down').description('stop the running platform; its data stays').action(async () => {
    const running = await requireRunning();
    const file = join(running.dataDir, 'run', `supervisor-${process.pid}.down`);
    await step('Stopping the platform', async () => {
      writePidFile(file, running.pid);
      try {
        await endByPidFile(file, 'SIGTERM', STOP_MS);
      } finally {
        await rm(file, { force: true });
      }
      // None, unless the supervisor had to be killed.
      await endLeftovers(running.dataDir);
    });
  });
}
