// Generates what is generated: Prisma clients from their schemas, typed callers from the Lua scripts.
// `--verify` fails where a committed generated file is not what its source says. Skips what has not changed.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/** Beside the generated client: the hash of what it was generated from. */
const STAMP = '.source-hash';

/** Every service that has a Prisma schema, as the path of its folder. */
function servicesWithSchema(base) {
  return readdirSync(join(base, 'services'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(base, 'services', entry.name))
    .filter((service) => existsSync(join(service, 'prisma/schema.prisma')));
}

function hashOf(files) {
  const hash = createHash('sha256');
  for (const file of files) hash.update(readFileSync(file));
  return hash.digest('hex');
}

/** Runs Prisma's CLI. Its schema engine is a download that `generate` does without; /bin/false keeps it from trying. */
function runPrisma(service) {
  const cli = join(root, 'node_modules/prisma/build/index.js');
  const env = {
    ...process.env,
    PRISMA_SCHEMA_ENGINE_BINARY: '/bin/false',
    PRISMA_HIDE_UPDATE_MESSAGE: 'true',
    CHECKPOINT_DISABLE: '1',
  };
  return new Promise((resolve, reject) => {
    const options = { cwd: service, env, timeout: 120_000 };
    execFile(process.execPath, [cli, 'generate', '--no-hints'], options, (error, stdout, stderr) => {
      if (error) reject(new Error(`prisma generate failed in ${relative(root, service)}:\n${stdout}${stderr}`));
      else resolve();
    });
  });
}

/** Generates the client of one service into src/generated/prisma; false where it was up to date. */
export async function generatePrisma(service) {
  const schema = join(service, 'prisma/schema.prisma');
  const stamp = join(service, 'src/generated/prisma', STAMP);
  // Prisma's version and this file decide about the result as well.
  const sources = [schema, join(root, 'node_modules/prisma/package.json'), fileURLToPath(import.meta.url)];
  const hash = hashOf(sources);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) return false;
  await runPrisma(service);
  writeFileSync(stamp, hash);
  return true;
}

/** All that is generated. Clients are not committed: there is nothing of them to verify but that they can be made. */
export async function generate({ verify = false } = {}) {
  for (const service of servicesWithSchema(root)) {
    if (await generatePrisma(service)) console.log(`generated the Prisma client of ${relative(root, service)}`);
  }
  const lua = join(root, 'scripts/generate-lua.mjs');
  if (existsSync(lua)) {
    const { generateLua } = await import(pathToFileURL(lua).href);
    await generateLua({ verify });
  }
}

if (process.argv[1] && pathToFileURL(process.argv[1]).href === import.meta.url) {
  try {
    await generate({ verify: process.argv.includes('--verify') });
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
