/** Turns packages/sale/src/lua/*.lua into scripts.generated.ts: texts, SHA1 digests and a typed caller for each script. */
import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';

const FOLDER = join(import.meta.dirname, '..', 'packages', 'sale', 'src', 'lua');
const TARGET = join(FOLDER, 'scripts.generated.ts');
const TYPES = new Set(['string', 'number']);

/** Writes the file; with `verify` it only compares and throws where the committed file is not what the scripts say. */
export async function generateLua({ verify = false } = {}) {
  const text = await render();
  const before = await readFile(TARGET, 'utf8').catch(() => '');
  if (before === text) return;
  if (verify) throw new Error(`${TARGET} is not what the Lua files say: run \`npm run generate\` and commit it.`);
  await writeFile(TARGET, text);
}

async function render() {
  const files = (await readdir(FOLDER)).filter((name) => name.endsWith('.lua')).sort();
  const scripts = [];
  for (const file of files) scripts.push(await parse(file));
  const text = `${HEAD}\n${scripts.map(entry).join('\n')}`;
  return format(text, { ...(await resolveConfig(TARGET)), filepath: TARGET });
}

/** Reads one script: its name and key count from the file name, its interface from the header. */
async function parse(file) {
  const match = /^([a-z-]+)-(\d+)\.lua$/.exec(file);
  if (!match) throw new Error(`${file}: the name must end with the number of keys, like reserve-9.lua`);
  const source = await readFile(join(FOLDER, file), 'utf8');
  const header = /^--\[\[\n([\s\S]*?)\n\]\]\n/.exec(source);
  if (!header) throw new Error(`${file}: the header is missing`);
  const { purpose, keys, args, each, returns } = parseHeader(file, header[1]);
  if (keys.length !== Number(match[2])) throw new Error(`${file}: the header names ${keys.length} keys`);
  const body = await include(file, source.slice(header[0].length));
  checkKeys(file, body, keys.length);
  return { name: camel(match[1]), file, purpose, keys, args, each, returns, text: body };
}

function parseHeader(file, header) {
  const [purpose, keyLines, argLines, returnLines] = header.split(/\n(?:KEYS|ARGV|RETURNS)(?=\n)/);
  if (returnLines === undefined) throw new Error(`${file}: the header needs KEYS, ARGV and RETURNS`);
  const keys = lines(keyLines).map((line) => line.split(/\s+/)[0]);
  const args = [];
  let each;
  for (const line of lines(argLines)) {
    const [name, type] = line.split(/\s+/);
    if (name === 'each') each = parseEach(file, line);
    else if (TYPES.has(type)) args.push({ name, type });
    else throw new Error(`${file}: ${name} must be a string or a number`);
  }
  const returns = /^(.+?)(?:\s{2,}|$)/.exec(returnLines.trim())[1];
  return { purpose: purpose.trim(), keys, args, each, returns };
}

function parseEach(file, line) {
  const match = /^each\s+\w+:\s+(.+)$/.exec(line);
  if (!match) throw new Error(`${file}: write "each  thing: name type, name type"`);
  return match[1].split(/,\s*/).map((field) => {
    const [name, type] = field.split(' ');
    if (!TYPES.has(type)) throw new Error(`${file}: ${name} must be a string or a number`);
    return { name, type };
  });
}

/** Replaces `-- @include name` by the shared text, and drops comment and blank lines: servers keep the text in memory. */
async function include(file, body) {
  const out = [];
  for (const line of body.split('\n')) {
    const match = /^-- @include (\w+)$/.exec(line);
    if (match) out.push(...(await readFile(join(FOLDER, 'include', `${match[1]}.lua`), 'utf8')).split('\n'));
    else out.push(line);
  }
  return out.filter((line) => !/^\s*(--.*)?$/.test(line)).join('\n');
}

/** A Redis Cluster serves a script by its KEYS: a literal key or an index beyond them would break there. */
function checkKeys(file, body, count) {
  for (const [, index] of body.matchAll(/KEYS\[(\d+)\]/g)) {
    if (Number(index) > count) throw new Error(`${file}: KEYS[${index}] of ${count}`);
  }
  const literal = /redis\.call\('[A-Z]+', '/.exec(body.replaceAll(/redis\.call\('X(GROUP|INFO)', '[A-Z]+', KEYS/g, ''));
  if (literal) throw new Error(`${file}: a key must come from KEYS: ${literal[0]}`);
}

function entry(script) {
  const { name, keys, args, each } = script;
  const Name = name[0].toUpperCase() + name.slice(1);
  const sha1 = createHash('sha1').update(script.text).digest('hex');
  const args_ = args.map((arg) => `readonly ${arg.name}: ${arg.type}; `).join('');
  const parameters = [`run: RunScript`, `keys: Keys<${keys.map((key) => `'${key}'`).join(' | ')}>`];
  if (args.length > 0) parameters.push(`args: { ${args_}}`);
  if (each) {
    const fields = each.map((field) => `readonly ${field.name}: ${field.type}; `).join('');
    parameters.push(`each: readonly { ${fields}}[]`);
  }
  const values = `[${args.map((arg) => `args.${arg.name}`).join(', ')}]`;
  return [
    `const ${name}Script: Script = {`,
    `  name: '${name}',`,
    `  sha1: '${sha1}',`,
    `  text: ${JSON.stringify(script.text)},`,
    `};`,
    `/**`,
    ...script.purpose.split('\n').map((line) => ` * ${line}`),
    ` * From ${script.file}.`,
    ` */`,
    `export function call${Name}(${parameters.join(', ')}): Promise<${script.returns}> {`,
    `  const values: (string | number)[] = ${values};`,
    ...(each ? [`  for (const one of each) values.push(${each.map((field) => `one.${field.name}`).join(', ')});`] : []),
    `  return run(${name}Script, [${keys.map((key) => `keys.${key}`).join(', ')}], values) as Promise<${script.returns}>;`,
    `}`,
    ``,
  ].join('\n');
}

const HEAD = `/** Generated by scripts/generate-lua.mjs from the Lua files beside it: do not edit. */

export interface Script {
  readonly name: string;
  readonly sha1: string;
  readonly text: string;
}

/** Runs a script on the server that has its keys; the adapter brings it. */
export type RunScript = (
  script: Script,
  keys: readonly string[],
  args: readonly (string | number)[],
) => Promise<unknown>;

type Keys<Names extends string> = { readonly [name in Names]: string };
`;

const lines = (text) =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean);
const camel = (name) => name.replaceAll(/-([a-z])/g, (_, letter) => letter.toUpperCase());

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await generateLua({ verify: process.argv.includes('--verify') });
}
