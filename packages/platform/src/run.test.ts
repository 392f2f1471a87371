/** The life of a process, with real processes: ready line, readiness, drain, exit codes. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { Agent, get } from 'node:http';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { after, test } from 'node:test';
import { portOf } from './run-admin.ts';

interface Line {
  readonly msg: string;
  readonly port?: number;
  readonly adminPort?: number;
  readonly correlationId?: string;
  readonly err?: { readonly message: string };
}

const children: ChildProcess[] = [];
after(() => {
  for (const child of children) child.kill('SIGKILL');
});

/** One fixture process and what it logged. */
class Process {
  readonly child: ChildProcess;
  readonly lines: Line[] = [];
  readonly exit: Promise<number | null>;
  #wake = (): void => undefined;
  constructor(fixture: string, env: NodeJS.ProcessEnv = {}) {
    this.child = spawn(process.execPath, [fileURLToPath(new URL('run.fixture.ts', import.meta.url))], {
      env: { PATH: process.env['PATH'], FIXTURE: fixture, PORT: '0', ADMIN_PORT: '0', ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(this.child);
    this.exit = once(this.child, 'close').then(([code]) => {
      this.#wake();
      return code as number | null;
    });
    const { stdout } = this.child;
    assert.ok(stdout);
    createInterface(stdout).on('line', (line) => {
      this.lines.push(JSON.parse(line) as Line);
      this.#wake();
    });
  }
  /** The first line with this message; fails where the process ends before it. */
  async line(msg: string): Promise<Line> {
    for (;;) {
      const found = this.lines.find((line) => line.msg === msg);
      if (found) return found;
      if (this.child.exitCode !== null) assert.fail(`ended without "${msg}": ${JSON.stringify(this.lines)}`);
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
  messages(): string[] {
    return this.lines.map((line) => line.msg);
  }
}

const url = (port: number | undefined, path: string): string => `http://127.0.0.1:${port}${path}`;

test('one ready line with the ports; livez, readyz, metrics; drains the request under way; exit 0', async () => {
  const it = new Process('');
  const { port, adminPort } = await it.line('ready');
  assert.equal(await (await fetch(url(adminPort, '/livez'))).text(), 'ok\n');
  const ready = await fetch(url(adminPort, '/readyz'));
  assert.equal(ready.status, 200);
  assert.deepEqual(await ready.json(), {
    ready: true,
    parts: { store: true, beat: true, http: true, releaser: true },
  });
  assert.match(await (await fetch(url(adminPort, '/metrics'))).text(), /process_cpu_user_seconds_total/);
  assert.equal((await fetch(url(adminPort, '/other'))).status, 404);

  const slow = fetch(url(port, '/slow'));
  await it.line('slow request under way');
  it.child.kill('SIGTERM');
  const answer = await slow;
  assert.equal(await answer.text(), 'finished');
  assert.equal(await it.exit, 0);
  assert.deepEqual(
    it.messages().filter((msg) => /drain$|stop$/.test(msg)),
    ['releaser drain', 'store drain', 'store stop'],
  );
});

test('an idle keep-alive connection does not hold the drain up', async () => {
  const it = new Process('');
  const { port } = await it.line('ready');
  const agent = new Agent({ keepAlive: true });
  const [response] = (await once(get(url(port, '/nothing'), { agent }), 'response')) as [NodeJS.ReadableStream];
  response.resume();
  await once(response, 'end');
  const from = performance.now();
  it.child.kill('SIGINT');
  assert.equal(await it.exit, 0);
  assert.ok(performance.now() - from < 5_000);
  agent.destroy();
});

test('readyz tells which part is not ready', async () => {
  const it = new Process('unready');
  const { adminPort } = await it.line('ready');
  const ready = await fetch(url(adminPort, '/readyz'));
  assert.equal(ready.status, 503);
  assert.deepEqual(((await ready.json()) as { parts: unknown }).parts, {
    store: false,
    beat: true,
    http: true,
    releaser: true,
  });
  it.child.kill('SIGTERM');
  assert.equal(await it.exit, 0);
});

test('a second signal exits at once with 1', async () => {
  const it = new Process('stuck');
  const { port } = await it.line('ready');
  const slow = assert.rejects(fetch(url(port, '/slow')));
  await it.line('slow request under way');
  it.child.kill('SIGTERM');
  await it.line('releaser drain');
  it.child.kill('SIGTERM');
  assert.equal(await it.exit, 1);
  await slow;
});

test('a failed start is logged, stops what had started, exits 1', async () => {
  const it = new Process('broken');
  assert.equal(await it.exit, 1);
  assert.equal((await it.line('the process could not start')).err?.message, 'no connection');
  assert.ok(it.messages().includes('store stop'));
  assert.ok(!it.messages().includes('ready'));
});

test('a wrong variable or a taken admin port is a failed start', async () => {
  const wrong = new Process('', { ADMIN_PORT: 'x' });
  assert.equal(await wrong.exit, 1);
  assert.match((await wrong.line('the process could not start')).err?.message ?? '', /ADMIN_PORT/);

  const holder = createServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  const taken = new Process('', { ADMIN_PORT: String(portOf(holder)) });
  assert.equal(await taken.exit, 1);
  assert.match((await taken.line('the process could not start')).err?.message ?? '', /EADDRINUSE/);
  holder.close();
});

test('an unclean drain exits 1, the other parts still had their turn', async () => {
  const it = new Process('bad-drain');
  await it.line('ready');
  it.child.kill('SIGTERM');
  assert.equal(await it.exit, 1);
  assert.equal((await it.line('drain failed')).err?.message, 'cannot drain');
  assert.ok(it.messages().includes('store stop'));
});

test('what nobody caught is logged and ends the process with 1', async () => {
  for (const [path, event] of [
    ['/throw', 'uncaughtException'],
    ['/reject', 'unhandledRejection'],
  ] as const) {
    const it = new Process('');
    const { port } = await it.line('ready');
    await fetch(url(port, path)).catch(() => undefined);
    assert.equal(await it.exit, 1);
    assert.match((await it.line(event)).err?.message ?? '', /^nobody/);
  }
});

test('lines logged for a request carry its correlation id, after an await and after a body too', async () => {
  const it = new Process('');
  const { port } = await it.line('ready');
  const headers = { 'x-correlation-id': 'c-1', 'content-type': 'application/json' };
  await fetch(url(port, '/log'), { headers });
  await fetch(url(port, '/log'), { method: 'POST', headers, body: '{}' });
  assert.equal((await it.line('in a request')).correlationId, 'c-1');
  assert.equal((await it.line('in a request with a body')).correlationId, 'c-1');
  it.child.kill('SIGTERM');
  assert.equal(await it.exit, 0);
});
