/** Toxiproxy: TCP proxies on loopback whose wire can be made slow, narrow, mute or broken; built once from packages/local/toxiproxy. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { startChild, untilReady } from '../child.ts';
import { REPO } from '../paths.ts';
import { step } from '../progress.ts';
import { cached, runProgram, versionText } from './install.ts';
import { ensureGo } from './kube-build.ts';
import type { RunningServer, ServerOptions } from './server.ts';

const VERSION = '2.5.0';
const SOURCE = join(REPO, 'packages/local/toxiproxy');
const BUILD_MS = 20 * 60_000;
const READY_MS = 20_000;
const STOP_MS = 5_000;
const CALL_MS = 5_000;

/** What goes wrong on a proxy's wire, in the terms of https://github.com/Shopify/toxiproxy#toxics. */
export interface Toxic {
  readonly type: 'latency' | 'bandwidth' | 'slow_close' | 'timeout' | 'reset_peer';
  /** `upstream`: what clients send; `downstream`: what the server answers. */
  readonly stream: 'upstream' | 'downstream';
  readonly attributes: Readonly<Record<string, number>>;
}

export interface Toxiproxy extends RunningServer {
  /** Makes the proxy, or points it at another server; its connections are closed then. */
  point(name: string, listen: number, upstream: number): Promise<void>;
  /** False: connections are closed and new ones refused. */
  enable(name: string, enabled: boolean): Promise<void>;
  /** Adds it to connections that are there, and to new ones. */
  add(name: string, toxic: Toxic): Promise<void>;
  /** Takes all toxics off all proxies, and enables them. */
  heal(): Promise<void>;
}

/** The path of the program, built where needed. */
export async function ensureToxiproxy(): Promise<string> {
  const hash = createHash('sha256');
  for (const file of ['go.mod', 'go.sum']) hash.update(readFileSync(join(SOURCE, file)));
  const folder = await cached(`toxiproxy-${VERSION}-${hash.digest('hex').slice(0, 8)}`, async (draft) => {
    const go = await ensureGo();
    const program = join(draft, 'toxiproxy');
    await step(`Building toxiproxy ${VERSION} from source, once`, () => build(go, program));
    // What is put into the cache is used for months: it must run.
    if (!versionText(program, ['-version']).includes('toxiproxy-server'))
      throw new Error('toxiproxy does not run here');
  });
  return join(folder, 'toxiproxy');
}

async function build(go: string, target: string): Promise<void> {
  const flags = ['-mod=readonly', '-trimpath', '-buildvcs=false', '-ldflags', '-s -w', '-o', target];
  await runProgram('nice', ['-n', '19', go, 'build', ...flags, 'github.com/Shopify/toxiproxy/v2/cmd/server'], {
    cwd: SOURCE,
    env: { CGO_ENABLED: '0', GOWORK: 'off', GOFLAGS: '' },
    timeoutMs: BUILD_MS,
  });
}

/** Starts it without any proxy; `port` is that of its API. */
export async function startToxiproxy({ dataDir, port, logFile }: ServerOptions): Promise<Toxiproxy> {
  const program = await ensureToxiproxy();
  await mkdir(dataDir, { recursive: true });
  const child = await startChild({
    name: 'toxiproxy',
    port,
    command: [program, '-host', '127.0.0.1', '-port', String(port)],
    logFile: logFile ?? join(dataDir, 'toxiproxy.log'),
    pidFile: join(dataDir, 'toxiproxy.pid'),
    stopSignal: 'SIGTERM',
    stopMs: STOP_MS,
    env: { ...process.env, LOG_LEVEL: 'error' },
  });
  const call = caller(`http://127.0.0.1:${port}`);
  const serves = (): Promise<boolean> => call('GET', '/version').then(() => true);
  await untilReady(child, READY_MS, serves).catch(async (error: unknown) => {
    await child.stop();
    throw error;
  });
  const known = new Set<string>();
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    pid: child.pid,
    exited: child.exited,
    stop: () => child.stop(),
    kill: () => child.kill(),
    async point(name, listen, upstream) {
      const proxy = { name, listen: `127.0.0.1:${listen}`, upstream: `127.0.0.1:${upstream}`, enabled: true };
      await call('POST', known.has(name) ? `/proxies/${name}` : '/proxies', proxy);
      known.add(name);
    },
    enable: (name, enabled) => call('POST', `/proxies/${name}`, { enabled }),
    add: (name, { type, stream, attributes }) =>
      call('POST', `/proxies/${name}/toxics`, { name: `${type}-${stream}`, type, stream, attributes }),
    heal: () => call('POST', '/reset'),
  };
}

/** Calls of its API. Throw with its own words where it refuses. */
function caller(url: string): (method: string, path: string, body?: object) => Promise<void> {
  return async (method, path, body) => {
    const answer = await fetch(`${url}${path}`, {
      method,
      signal: AbortSignal.timeout(CALL_MS),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`toxiproxy: ${method} ${path}: ${answer.status} ${text}`);
  };
}
