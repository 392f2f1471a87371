/** Ends the processes that an earlier run on a data folder left behind, found by their pid files. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { endByPidFile, runningPid, signalQuietly } from '../pid.ts';

const GRACE_MS = 10_000;

async function pidFiles(dataDir: string): Promise<{ services: string[]; infra: string[] }> {
  const run = join(dataDir, 'run');
  const names = await readdir(run).catch(() => []);
  const services = names.filter((name) => name.endsWith('.pid')).map((name) => join(run, name));
  const kubernetes = ['kwok', 'scheduler', 'controllers', 'apiserver', 'etcd'].map((name) => `kubernetes/${name}.pid`);
  const infra = [...kubernetes, ...['kafka', 'postgres', 'redis'].map((name) => `${name}/${name}.pid`)];
  return { services, infra: infra.map((file) => join(dataDir, file)) };
}

/** Ends them in an orderly way, services first. Returns how many there were. */
export async function endLeftovers(dataDir: string): Promise<number> {
  const { services, infra } = await pidFiles(dataDir);
  const ended = await Promise.all(services.map((file) => endByPidFile(file, 'SIGTERM', GRACE_MS)));
  for (const file of infra) {
    ended.push(await endByPidFile(file, file.endsWith('postgres.pid') ? 'SIGINT' : 'SIGTERM', GRACE_MS));
  }
  return ended.filter(Boolean).length;
}

/** SIGKILL to all of them, now. */
export async function killAll(dataDir: string): Promise<void> {
  const { services, infra } = await pidFiles(dataDir);
  for (const file of [...services, ...infra]) {
    const pid = runningPid(file);
    if (pid !== undefined) signalQuietly(pid, 'SIGKILL');
  }
}
