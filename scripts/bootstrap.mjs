// Brings a fresh clone to where its TypeScript can run: packages, Node 24, generated code. Plain Node 20, no dependencies.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..');
/** The Node that runs the product; the package `node` brings it along, whatever the system's Node is. */
export const node = join(root, 'node_modules/node/bin/node');

const INSTALL_MS = 15 * 60_000;
const HEARTBEAT_MS = 15_000;
const TAIL = 4000;

/** Runs a program to its end, quietly. Throws with the end of its output where it fails. */
export function runQuietly(program, args, { timeout = INSTALL_MS, env = {} } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout,
      killSignal: 'SIGKILL',
    });
    let output = '';
    const keep = (chunk) => (output = (output + chunk).slice(-20 * TAIL));
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (code === 0) resolve(output);
      else reject(Object.assign(new Error(`${program} ended with ${signal ?? code}`), { output }));
    });
  });
}

/** Shows what is going on and how long it takes; where there is no terminal, a line every 15 s. */
export async function step(label, work) {
  const started = Date.now();
  const time = () => `${((Date.now() - started) / 1000).toFixed(1)} s`;
  const tty = process.stderr.isTTY;
  const show = () => process.stderr.write(tty ? `\r\u001B[K… ${label} (${time()})` : `… ${label} (${time()})\n`);
  show();
  const timer = setInterval(show, tty ? 200 : HEARTBEAT_MS);
  const end = (mark) => {
    clearInterval(timer);
    process.stderr.write(`${tty ? '\r\u001B[K' : ''}${mark} ${label} (${time()})\n`);
  };
  try {
    const result = await work();
    end('✔');
    return result;
  } catch (error) {
    end('✘');
    throw error;
  }
}

/**
 * True where node_modules holds what package-lock.json names. npm keeps its own record of what it installed; packages
 * for other systems are optional and may be absent.
 */
export function isInstalled(folder = root) {
  const read = (file) => JSON.parse(readFileSync(join(folder, file), 'utf8')).packages;
  try {
    const found = read('node_modules/.package-lock.json');
    return Object.entries(read('package-lock.json')).every(([path, wanted]) => {
      if (!path.startsWith('node_modules/')) return true;
      const there = found[path];
      return there === undefined ? wanted.optional === true : there.version === wanted.version;
    });
  } catch {
    return false;
  }
}

async function install() {
  // npm is a script of the Node that runs us, where npm started us.
  const npm = process.env.npm_execpath;
  const [program, args] = npm ? [process.execPath, [npm, 'ci']] : ['npm', ['ci']];
  // Prisma's engines are downloads that nothing here needs.
  const env = { PRISMA_SCHEMA_ENGINE_BINARY: '/bin/false', CHECKPOINT_DISABLE: '1' };
  await step('Installing packages (npm ci)', () => runQuietly(program, args, { env }));
}

async function ensureNode() {
  const works = () => runQuietly(node, ['--version'], { timeout: 20_000 });
  const found = await works().catch(() => '');
  if (found.startsWith('v24.')) return;
  // npm was told to run no install scripts: this is the one that places the binary.
  const script = join(root, 'node_modules/node/installArchSpecificPackage.js');
  await step('Installing Node 24', () => runQuietly(process.execPath, [script]));
  await works();
}

/** Idempotent; quick where there is nothing to do. Throws with a message that says what failed. */
export async function bootstrap() {
  if (!isInstalled()) await install();
  await ensureNode();
  process.stderr.write(await runQuietly(node, [join(root, 'scripts/generate.mjs')]));
}

/** Says what failed, with the end of the program's output, and sets the exit code. */
export function fail(error) {
  process.stderr.write(
    `${error.output ? error.output.slice(-TAIL) : ''}\n${error.output ? error.message : error.stack}\n`,
  );
  process.exitCode = 1;
}

if (process.argv[1] && pathToFileURL(process.argv[1]).href === import.meta.url) await bootstrap().catch(fail);
