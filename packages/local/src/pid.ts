/** Who a process is, beyond its number: pids are used again, a pid with its start time is not. Linux only (/proc). */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 20;

/** `pid start-time boot-id` of a running process; undefined where there is none (a zombie counts as none). */
export function identityOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command name may hold spaces and parentheses: fields are counted from the last ')'.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
    return `${pid} ${fields[19] ?? '?'} ${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}`;
  } catch {
    return undefined;
  }
}

export function writePidFile(file: string, pid: number): void {
  writeFileSync(file, `${identityOf(pid) ?? `${pid} gone`}\n`);
}

/** The pid in `file` where that very process still runs. */
export function runningPid(file: string): number | undefined {
  const written = readText(file);
  const pid = Number.parseInt(written, 10);
  return Number.isInteger(pid) && identityOf(pid) === written ? pid : undefined;
}

/**
 * Ends the process a pid file names, if it still is that process, and removes the file: `signal`, then SIGKILL
 * after `graceMs`. Returns whether there was one to end.
 */
export async function endByPidFile(file: string, signal: NodeJS.Signals, graceMs: number): Promise<boolean> {
  const pid = runningPid(file);
  if (pid !== undefined) {
    signalQuietly(pid, signal);
    if (!(await goneWithin(pid, graceMs))) {
      signalQuietly(pid, 'SIGKILL');
      await goneWithin(pid, 5000);
    }
  }
  rmSync(file, { force: true });
  return pid !== undefined;
}

/** Sends a signal; a process that is gone by then is no error. */
export function signalQuietly(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function goneWithin(pid: number, ms: number): Promise<boolean> {
  const deadline = Date.now() + ms;
  while (identityOf(pid) !== undefined) {
    if (Date.now() > deadline) return false;
    await sleep(POLL_MS);
  }
  return true;
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return '';
  }
}
