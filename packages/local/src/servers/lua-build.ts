/** The Lua that Argo CD runs scripts with, built once from packages/local/lua: for tests of scripts that are given to it. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { REPO } from '../paths.ts';
import { step } from '../progress.ts';
import { cached, runProgram } from './install.ts';
import { ensureGo } from './kube-build.ts';

const SOURCE = join(REPO, 'packages/local/lua');
const SOURCES = ['go.mod', 'go.sum', 'main.go'];
const BUILD_MS = 10 * 60_000;
const RUN_MS = 20_000;

/** The path of the program, built where needed: a JSON request a line in, an answer a line out; see its main.go. */
export async function ensureLua(): Promise<string> {
  const hash = createHash('sha256');
  for (const file of SOURCES) hash.update(readFileSync(join(SOURCE, file)));
  const folder = await cached(`lua-${hash.digest('hex').slice(0, 8)}`, async (draft) => {
    const go = await ensureGo();
    await step('Building the Lua of Argo CD from source, once', () => build(go, join(draft, 'lua')));
    verify(join(draft, 'lua'));
  });
  return join(folder, 'lua');
}

async function build(go: string, target: string): Promise<void> {
  const flags = ['-mod=readonly', '-trimpath', '-buildvcs=false', '-ldflags', '-s -w'];
  await runProgram(go, ['build', ...flags, '-o', target, '.'], {
    cwd: SOURCE,
    env: { CGO_ENABLED: '0', GOWORK: 'off', GOFLAGS: '' },
    timeoutMs: BUILD_MS,
  });
}

/** What is put into the cache is used for months: it must answer. */
function verify(program: string): void {
  const input = JSON.stringify({ script: 'return { obj.size + 1 }', object: { size: 1 } });
  const { stdout } = spawnSync(program, { input: `${input}\n`, encoding: 'utf8', timeout: RUN_MS });
  if (stdout.trim() !== '{"result":[2]}') throw new Error(`the built Lua says "${stdout.trim()}"`);
}
