/** The state file by which other commands find the platform that runs on this machine. */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from '@flashsale/platform/config';
import { stateHome } from '../paths.ts';
import { identityOf } from '../pid.ts';

const schema = z.object({
  pid: z.number(),
  /** pid, start time and boot: a number alone may be another process by now. */
  process: z.string(),
  dataDir: z.string(),
  ports: z.record(z.string(), z.number()),
  /** EDGE_URL, IDENTITY_URL, …, SUPERVISOR_URL. */
  urls: z.record(z.string(), z.string()),
  redisUrl: z.string(),
  kafkaBrokers: z.string(),
  postgresUrl: z.string(),
  /** Of its API server, for its administrator; absent where it runs without Kubernetes. */
  kubeconfig: z.string().optional(),
  startedAt: z.string(),
});
export type RunningPlatform = z.infer<typeof schema>;

/** No platform runs here. The message says what to do. */
export class NotRunningError extends Error {
  constructor() {
    super('the platform is not running: start it with `npx flashsale up`');
    this.name = 'NotRunningError';
  }
}

const file = (): string => join(stateHome(), 'running.json');

/** The running platform; undefined where there is none (a file left by a dead one does not count). */
export async function findRunning(): Promise<RunningPlatform | undefined> {
  try {
    const running = schema.parse(JSON.parse(await readFile(file(), 'utf8')));
    return identityOf(running.pid) === running.process ? running : undefined;
  } catch {
    return undefined;
  }
}

/** The running platform. Throws NotRunningError. */
export async function requireRunning(): Promise<RunningPlatform> {
  const running = await findRunning();
  if (running === undefined) throw new NotRunningError();
  return running;
}

export async function writeRunning(state: Omit<RunningPlatform, 'pid' | 'process' | 'startedAt'>): Promise<void> {
  await mkdir(stateHome(), { recursive: true });
  const startedAt = new Date().toISOString();
  const running: RunningPlatform = { ...state, pid: process.pid, process: identityOf(process.pid) ?? '', startedAt };
  await writeFile(`${file()}.new`, `${JSON.stringify(running, undefined, 2)}\n`, { mode: 0o600 });
  await rename(`${file()}.new`, file());
}

export async function removeRunning(): Promise<void> {
  await rm(file(), { force: true });
}
