/** The supervisor with small services and a real Redis: order, ports, crashes, replicas, leftovers, and a clean end. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../testing.ts';
import { identityOf, runningPid } from '../pid.ts';

const FIXTURE = join(import.meta.dirname, '../fixtures/service.mjs');
const RUNNER = join(import.meta.dirname, '../fixtures/run-platform.fixture.ts');
const dirs: string[] = [];
const children: ChildProcess[] = [];
after(() => {
  // Only those of a failed test still run; what they started ends with them.
  for (const child of children) child.kill('SIGKILL');
  for (const dir of dirs) rmSync(dir, { recursive: true, force: true });
});

interface RunningFixture {
  readonly dataDir: string;
  readonly events: string;
  readonly ports: Record<string, number>;
  readonly pid: number;
  signal(signal: NodeJS.Signals): void;
  readonly exited: Promise<unknown>;
}

/** Runs a supervisor of its own process: alpha first, then beta and the workload gamma. */
async function bringUp(dataDir = mkdtempSync(join(tmpdir(), 'flashsale-platform-'))): Promise<RunningFixture> {
  if (!dirs.includes(dataDir)) dirs.push(dataDir);
  const events = join(dataDir, 'events');
  writeFileSync(events, '', { flag: 'a' });
  const env = { ...process.env, FLASHSALE_HOME: join(dataDir, 'home'), EVENTS: events, FIXTURE };
  const args = [RUNNER, dataDir, String(await freePort())];
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  const exited = once(child, 'exit');
  const lines = createInterface({ input: child.stdout });
  const [line] = (await Promise.race([
    once(lines, 'line'),
    exited.then(() => Promise.reject(new Error('it ended before it was ready'))),
  ])) as [string];
  assert.equal(line, 'ready');
  const ports = JSON.parse(readFileSync(join(dataDir, 'ports.json'), 'utf8')) as Record<string, number>;
  return { dataDir, events, ports, pid: child.pid ?? 0, signal: (signal) => child.kill(signal), exited };
}

const eventsOf = (platform: RunningFixture): string[] => readFileSync(platform.events, 'utf8').trim().split('\n');
const pidOf = (platform: RunningFixture, name: string): number | undefined =>
  runningPid(join(platform.dataDir, name === 'redis' ? 'redis' : 'run', `${name}.pid`));

/** Waits for a condition of another process, which has no event for it; fails after 10 s. */
async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, `${what} did not come about within 10 s`);
    await sleep(20);
  }
}

async function workload(platform: RunningFixture, method = 'GET', body?: unknown): Promise<Response> {
  const url = `http://127.0.0.1:${platform.ports['supervisor'] ?? 0}/workloads/Deployment/gamma`;
  return fetch(url, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
}

test('starts in order, restarts what crashes, scales, and leaves no process behind', async () => {
  const platform = await bringUp();
  assert.equal(eventsOf(platform)[0], 'alpha up');
  assert.deepEqual(eventsOf(platform).toSorted(), ['alpha up', 'beta up', 'gamma-1 up']);

  const before = pidOf(platform, 'beta');
  await fetch(`http://127.0.0.1:${platform.ports['live-admin'] ?? 0}/crash`).catch(() => undefined);
  await until('a restart of beta', () => eventsOf(platform).filter((event) => event === 'beta up').length === 2);
  assert.notEqual(pidOf(platform, 'beta'), before);

  const redis = pidOf(platform, 'redis');
  assert.ok(redis !== undefined);
  process.kill(redis, 'SIGKILL');
  await until('a restart of Redis', () => (pidOf(platform, 'redis') ?? redis) !== redis);

  assert.equal((await workload(platform, 'PUT', { replicas: 3 })).status, 204);
  const status = async (): Promise<unknown> => (await workload(platform)).json();
  await until('three replicas', async () => JSON.stringify(await status()) === '{"desired":3,"ready":3}');
  await workload(platform, 'PUT', { replicas: 1 });
  await until('one replica', async () => JSON.stringify(await status()) === '{"desired":1,"ready":1}');
  await until(
    'two replicas down',
    () => eventsOf(platform).filter((event) => /gamma-[23] down/.test(event)).length === 2,
  );
  assert.equal((await workload(platform, 'PUT', { replicas: -1 })).status, 400);
  assert.equal((await workload(platform, 'PUT', 'three')).status, 400);
  const unknown = `http://127.0.0.1:${platform.ports['supervisor'] ?? 0}/workloads/Deployment/delta`;
  assert.equal((await fetch(unknown)).status, 404);

  const pids = ['alpha', 'beta', 'gamma-1', 'redis'].map((name) => pidOf(platform, name) ?? 0);
  assert.ok(pids.every((pid) => pid > 0));
  platform.signal('SIGTERM');
  assert.deepEqual(await platform.exited, [0, null]);
  assert.deepEqual(
    pids.filter((pid) => identityOf(pid) !== undefined),
    [],
  );
  assert.equal(eventsOf(platform).filter((event) => / down$/.test(event)).length, 5);
});

test('killed -9, the next start ends what is left, and keeps data and ports', async () => {
  const first = await bringUp();
  const left = ['alpha', 'beta', 'gamma-1', 'redis'].map((name) => pidOf(first, name) ?? 0);
  first.signal('SIGKILL');
  await first.exited;
  const second = await bringUp(first.dataDir);
  assert.deepEqual(
    left.filter((pid) => identityOf(pid) !== undefined),
    [],
  );
  assert.deepEqual(second.ports, first.ports);
  second.signal('SIGINT');
  assert.deepEqual(await second.exited, [0, null]);
});

test('a service that cannot start: its log is shown, and what was started is stopped', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'flashsale-platform-'));
  dirs.push(dataDir);
  const env = { ...process.env, FLASHSALE_HOME: join(dataDir, 'home'), EVENTS: join(dataDir, 'events'), FIXTURE };
  const args = [RUNNER, dataDir, String(await freePort())];
  const child = spawn(process.execPath, args, {
    env: { ...env, FAIL_START: '1' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  children.push(child);
  let written = '';
  child.stderr.on('data', (chunk: Buffer) => (written += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number];
  assert.equal(code, 1);
  assert.match(written, /alpha ended while starting \(exit code 1\):\nno configuration today/);
  assert.match(written, /redis +stopped/);
  assert.equal(runningPid(join(dataDir, 'redis/redis.pid')), undefined);
});
