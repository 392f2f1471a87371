// Generates what is generated: Prisma clients from their schemas, typed callers from the Lua scripts, the CRD,
// the ConfigMap for Argo CD.
// `--verify` fails where a committed generated file is not what its source says. Skips what has not changed.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/** Beside the generated client: the hash of what it was generated from. */
const STAMP = '.source-hash';

/** The fixture of the platform's own tests, then every service that has a Prisma schema: its folder and its client's. */
function clients() {
  const services = readdirSync(join(root, 'services'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(root, 'services', entry.name))
    .map((folder) => ({ folder, output: join(folder, 'src/generated/prisma') }));
  const fixture = join(root, 'packages/platform/src/fixtures');
  const all = [{ folder: fixture, output: join(fixture, 'generated/prisma') }, ...services];
  return all.filter(({ folder }) => existsSync(join(folder, 'prisma/schema.prisma')));
}

/** Every file below a folder, always in the same order. */
function filesIn(folder) {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return entries.map((entry) => join(entry.parentPath, entry.name)).sort();
}

function hashOf(files) {
  const hash = createHash('sha256');
  for (const file of files) hash.update(readFileSync(file));
  return hash.digest('hex');
}

/** Runs Prisma's CLI. Its schema engine is a download that `generate` does without; /bin/false keeps it from trying. */
function runPrisma(folder) {
  const cli = join(root, 'node_modules/prisma/build/index.js');
  const env = {
    ...process.env,
    PRISMA_SCHEMA_ENGINE_BINARY: '/bin/false',
    PRISMA_HIDE_UPDATE_MESSAGE: 'true',
    CHECKPOINT_DISABLE: '1',
  };
  return new Promise((resolve, reject) => {
    const options = { cwd: folder, env, timeout: 120_000 };
    execFile(process.execPath, [cli, 'generate', '--no-hints'], options, (error, stdout, stderr) => {
      if (error) reject(new Error(`prisma generate failed in ${relative(root, folder)}:\n${stdout}${stderr}`));
      else resolve();
    });
  });
}

/** Generates one client; false where it was up to date. */
async function generatePrisma({ folder, output }) {
  const stamp = join(output, STAMP);
  // Prisma's version and this file decide about the result as well.
  const schema = join(folder, 'prisma/schema.prisma');
  const hash = hashOf([schema, join(root, 'node_modules/prisma/package.json'), fileURLToPath(import.meta.url)]);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) return false;
  await runPrisma(folder);
  writeFileSync(stamp, hash);
  return true;
}

/** The typed callers of the Lua scripts, which are committed. Making them loads a formatter: skipped where nothing changed. */
async function generateScripts(verify) {
  const generator = join(root, 'scripts/generate-lua.mjs');
  const folder = join(root, 'packages/sale/src/lua');
  const stamp = join(root, 'node_modules/.cache/flashsale/lua-hash');
  const hash = () => hashOf([generator, ...filesIn(folder)]);
  if (!verify && existsSync(stamp) && readFileSync(stamp, 'utf8') === hash()) return;
  const { generateLua } = await import(pathToFileURL(generator).href);
  await generateLua({ verify });
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, hash());
}

/** Runs a script of ours in TypeScript, which the system's own Node may be too old for, and resolves to what it prints. */
function runTypeScript(script) {
  const node = join(root, 'node_modules/.bin/node');
  return new Promise((resolve, reject) => {
    execFile(node, [join(root, script)], { timeout: 60_000, maxBuffer: 16 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error) reject(new Error(`${script} failed:\n${stderr}`));
      else resolve(stdout);
    });
  });
}

/** The CRD, which is committed. */
async function generateCrd(verify) {
  const target = join(root, 'operator/config/crd/flashsales.flashsale.dev.yaml');
  const sources = [...filesIn(join(root, 'operator/src/api')), join(root, 'operator/src/status.ts')];
  const shared = join(root, 'packages/sale/src');
  const stamp = join(root, 'node_modules/.cache/flashsale/crd-hash');
  const before = existsSync(target) ? readFileSync(target, 'utf8') : '';
  const hash = hashOf([...sources, join(shared, 'spec.ts'), join(shared, 'money.ts'), join(shared, 'types.ts')]);
  const stamped = hash + createHash('sha256').update(before).digest('hex');
  if (!verify && existsSync(stamp) && readFileSync(stamp, 'utf8') === stamped) return;
  const text = await runTypeScript('operator/src/api/generate.ts');
  if (verify && text !== before) {
    throw new Error(`${relative(root, target)} is not what its schema says: run \`npm run generate\` and commit it.`);
  }
  mkdirSync(dirname(target), { recursive: true });
  if (text !== before) writeFileSync(target, text);
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, hash + createHash('sha256').update(text).digest('hex'));
}

/** The ConfigMap for Argo CD, which is committed. */
async function generateArgo(verify) {
  const { generateArgoCd } = await import(pathToFileURL(join(root, 'scripts/generate-argocd.mjs')).href);
  generateArgoCd({ verify });
}

/** All that is generated. Clients are not committed: there is nothing of them to verify but that they can be made. */
export async function generate({ verify = false } = {}) {
  const made = async (client) => {
    if (await generatePrisma(client)) console.log(`generated the Prisma client of ${relative(root, client.folder)}`);
  };
  await Promise.all(clients().map(made));
  await generateScripts(verify);
  await generateCrd(verify);
  await generateArgo(verify);
}

if (process.argv[1] && pathToFileURL(process.argv[1]).href === import.meta.url) {
  try {
    await generate({ verify: process.argv.includes('--verify') });
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
