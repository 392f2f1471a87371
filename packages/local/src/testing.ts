/** Real servers for tests: those of TEST_* where set, else started for this process and ended with it. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endByPidFile, identityOf, runningPid, signalQuietly, writePidFile } from './pid.ts';
import { freePort } from './ports.ts';
import { postgresQuery } from './probe.ts';
import { startKafka } from './servers/kafka.ts';
import { startKube } from './servers/kube.ts';
import { ensureLua } from './servers/lua-build.ts';
import { startPostgres } from './servers/postgres.ts';
import { startRedis } from './servers/redis.ts';
import type { RunningServer, ServerOptions } from './servers/server.ts';

export { freePort, freePorts } from './ports.ts';
export { startKafka, type KafkaOptions } from './servers/kafka.ts';
export { startKube, type KubeOptions, type KubeServer } from './servers/kube.ts';
export { ensureCluster } from './servers/kube-build.ts';
export { startPostgres } from './servers/postgres.ts';
export { startRedis } from './servers/redis.ts';
export type { RunningServer, ServerOptions } from './servers/server.ts';

const PREFIX = 'flashsale-test-';
/** Pid files of the servers in a test process's folder: one folder a server, one file a process. */
const PID_FILES = [
  'redis/redis.pid',
  'kafka/kafka.pid',
  'postgres/postgres.pid',
  'kube/kwok.pid',
  'kube/scheduler.pid',
  'kube/controllers.pid',
  'kube/apiserver.pid',
  'kube/etcd.pid',
];
const GONE_MS = 5000;

/** URL of a Redis for tests, shared by the tests of this process: isolate by random sale names, never flush. */
export const testRedis = shared('TEST_REDIS_URL', 'redis', startRedis);
/** Brokers (`host:port`) of a Kafka for tests. Topics are not made by accident: create what you use. */
export const testKafka = shared('TEST_KAFKA_BROKERS', 'kafka', startKafka);
/** URL of the database `postgres` of a PostgreSQL for tests, as superuser. Most tests want `testDatabase()`. */
export const testPostgres = shared('TEST_POSTGRES_URL', 'postgres', startPostgres);

/**
 * Path of a kubeconfig for a Kubernetes API server for tests, contexts `admin` (current) and `restricted` (a user
 * without any right). Isolate by a namespace, or an API group, of your own.
 */
export const testKube = shared('TEST_KUBECONFIG', 'kube', async (options) => {
  const { kubeconfig } = await startKube(options);
  return { url: kubeconfig };
});

/** Path of the program that runs Lua as Argo CD does, from TEST_LUA or built from packages/local/lua. */
export function testLua(): Promise<string> {
  const path = process.env['TEST_LUA'];
  return path === undefined ? ensureLua() : Promise.resolve(path);
}

/** URL of a fresh, empty database on the PostgreSQL for tests. */
export async function testDatabase(): Promise<string> {
  const url = new URL(await testPostgres());
  const name = `test_${randomBytes(8).toString('hex')}`;
  // Copying template0 by files is the quickest where nothing is synced to disk.
  await postgresQuery(Number(url.port), 'postgres', `CREATE DATABASE ${name} TEMPLATE template0`, 30_000);
  url.pathname = `/${name}`;
  return url.href;
}

let folder: string | undefined;

/** A folder of this process's own; servers in it and the folder itself are ended when the process exits. */
export function testFolder(): string {
  if (folder !== undefined) return folder;
  folder = join(tmpdir(), `${PREFIX}${process.pid}-${randomBytes(4).toString('hex')}`);
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  writePidFile(join(folder, 'owner.pid'), process.pid);
  const own = folder;
  process.once('exit', () => endNow(own));
  return folder;
}

function shared(
  variable: string,
  name: string,
  start: (options: ServerOptions) => Promise<Pick<RunningServer, 'url'>>,
): () => Promise<string> {
  let running: Promise<string> | undefined;
  const own = async (): Promise<string> => {
    await endLeftovers();
    const server = await start({ dataDir: join(testFolder(), name), port: await freePort(), durable: false });
    return server.url;
  };
  return () => (running ??= process.env[variable] === undefined ? own() : Promise.resolve(process.env[variable]));
}

/** Ends servers of test processes that were killed before they could. */
async function endLeftovers(): Promise<void> {
  for (const entry of readdirSync(tmpdir()).filter((name) => name.startsWith(PREFIX))) {
    const left = join(tmpdir(), entry);
    if (left === folder || runningPid(join(left, 'owner.pid')) !== undefined) continue;
    for (const file of PID_FILES) await endByPidFile(join(left, file), 'SIGKILL', GONE_MS);
    rmSync(left, { recursive: true, force: true });
  }
}

/** At exit nothing asynchronous runs any more. SIGQUIT lets PostgreSQL give its shared memory back. */
function endNow(own: string): void {
  const pids = PID_FILES.map((file) => ({ file, pid: runningPid(join(own, file)) }));
  for (const { file, pid } of pids) {
    if (pid !== undefined) signalQuietly(pid, file.startsWith('postgres/') ? 'SIGQUIT' : 'SIGKILL');
  }
  const deadline = Date.now() + GONE_MS;
  const pause = new Int32Array(new SharedArrayBuffer(4));
  while (pids.some(({ pid }) => pid !== undefined && identityOf(pid) !== undefined) && Date.now() < deadline) {
    Atomics.wait(pause, 0, 0, 10);
  }
  rmSync(own, { recursive: true, force: true, maxRetries: 3 });
}
