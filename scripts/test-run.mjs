// The test run itself, on Node 24: checks, one server of each kind for all files, the tests, the coverage gate.
import { rmSync } from 'node:fs';
import { glob } from 'node:fs/promises';
import { join, matchesGlob, relative } from 'node:path';
import { run } from 'node:test';
import { inspect } from 'node:util';
import { node, root, runQuietly, step } from './bootstrap.mjs';
import { ensureCluster, testKafka, testKube, testLua, testPostgres, testRedis } from '../packages/local/src/testing.ts';

const CHECK_MS = 10 * 60_000;
/** Longest test; those of the whole platform wait for sales to open and holds to run out. */
const TEST_MS = { normal: 180_000, e2e: 600_000 };
const MOST_OUTPUT = 64 * 1024;
const LEAST_LINES = 85;
const COVERAGE = join(root, 'coverage');

const tally = { passed: 0, failed: 0 };
const say = (text) => process.stdout.write(`${text}\n`);
const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;

/** A check that is not a test counts as one. */
async function check(label, work) {
  try {
    await step(label, work);
    tally.passed += 1;
  } catch (error) {
    tally.failed += 1;
    say(`${error.output ?? inspect(error)}`);
  }
}

function staticChecks() {
  const bin = (file) => join(root, 'node_modules', file);
  return [
    ['Format (prettier)', [bin('prettier/bin/prettier.cjs'), '--check', '--log-level', 'warn', '.']],
    ['Types (tsc)', [bin('typescript/bin/tsc'), '--noEmit']],
    ['Lint (eslint)', [bin('eslint/bin/eslint.js'), '.', '--max-warnings', '0']],
    ['Generated code', [join(root, 'scripts/generate.mjs'), '--verify']],
  ].map(
    ([label, args]) =>
      () =>
        check(label, () => runQuietly(node, args, { timeout: CHECK_MS })),
  );
}

async function testFiles(patterns) {
  const found = [];
  const exclude = (entry) => ['node_modules', 'generated', 'coverage', '.flashsale', '.git'].includes(entry);
  for (const folder of ['packages', 'services', 'operator', 'loadtest']) {
    for await (const file of glob(`${folder}/**/*.test.ts`, { cwd: root, exclude })) found.push(file);
  }
  const chosen = (file) => patterns.some((pattern) => file.includes(pattern) || matchesGlob(file, pattern));
  return (patterns.length === 0 ? found : found.filter(chosen)).toSorted();
}

/** One server of each kind for all files that need it; they end with this process. */
async function startServers(files) {
  const needs = (suffixes) => files.some((file) => suffixes.some((suffix) => file.includes(`.${suffix}.test.`)));
  const start = async (variable, wanted, server) => {
    if (wanted) process.env[variable] = await server();
  };
  // Built before the first test: that takes longer than a test may.
  if (needs(['kube', 'e2e'])) await ensureCluster();
  await start('TEST_REDIS_URL', needs(['redis', 'oidc']), testRedis);
  await start('TEST_POSTGRES_URL', needs(['pg', 'oidc']), testPostgres);
  await start('TEST_KAFKA_BROKERS', needs(['kafka']), testKafka);
  await start('TEST_KUBECONFIG', needs(['kube']), testKube);
  await start('TEST_LUA', needs(['lua']), testLua);
}

/** Runs the files and tells of each as it ends; of a failed one with all that it wrote. */
async function runTests(files, concurrency, timeout) {
  const output = new Map();
  const keep = ({ file, message }) => output.set(file, ((output.get(file) ?? '') + message).slice(-MOST_OUTPUT));
  const stream = run({ files: files.map((file) => join(root, file)), concurrency, timeout, cwd: root });
  for await (const { type, data } of stream) {
    if (type === 'test:stdout' || type === 'test:stderr') keep(data);
    if (type === 'test:fail' && data.details.type !== 'suite') tellFailure(data);
    if (type === 'test:summary') summarize(data, output);
  }
}

function tellFailure({ name, file, details }) {
  say(`✘ ${relative(root, file ?? '')}: ${name}`);
  say(inspect(details.error?.cause ?? details.error).replace(/^/gm, '    '));
}

/** A summary comes for each file, and one for all of them. A skipped test counts as failed: it proves nothing. */
function summarize({ file, counts, duration_ms: ms, success }, output) {
  const failed = counts.failed + counts.cancelled + counts.skipped + counts.todo;
  if (file === undefined) {
    tally.passed += counts.passed;
    tally.failed += failed;
    return;
  }
  const name = relative(root, file);
  if (counts.skipped + counts.todo > 0) say(`✘ ${name}: skipped or unfinished tests`);
  if (!success && output.has(file)) say(output.get(file));
  say(`${success ? '✔' : '✘'} ${name} (${counts.tests} tests, ${seconds(ms)})`);
  output.delete(file);
}

async function coverageGate() {
  const exclude = [
    '**/generated/**',
    '**/*.generated.ts',
    '**/*.test.ts',
    '**/*.contract.ts',
    '**/fixtures/**',
    '**/*fixture{,s}.ts',
    '**/*.mjs',
    '**/*.d.ts',
  ];
  const args = [
    ...['report', '--temp-directory', join(COVERAGE, 'tmp'), '--reports-dir', COVERAGE],
    ...['--reporter', 'text', '--reporter', 'lcovonly', '--all', '--extension', '.ts'],
    ...['packages', 'services', 'operator'].flatMap((folder) => ['--src', folder, '--include', `${folder}/**/*.ts`]),
    ...exclude.flatMap((pattern) => ['--exclude', pattern]),
    ...['--check-coverage', '--lines', String(LEAST_LINES), '--statements', '0', '--functions', '0', '--branches', '0'],
  ];
  await check(`Coverage (at least ${LEAST_LINES} % of lines)`, async () => {
    const text = await runQuietly(node, [join(root, 'node_modules/c8/bin/c8.js'), ...args], { timeout: CHECK_MS });
    say(text.split('\n').find((line) => line.startsWith('All files')) ?? '');
  });
}

async function main(patterns) {
  const started = Date.now();
  const all = patterns.length === 0;
  const files = await testFiles(patterns);
  if (files.length === 0) throw new Error(`no test file matches ${patterns.join(', ')}`);
  if (all) for (const start of staticChecks()) await start();
  await step('Starting the servers for the tests', () => startServers(files));
  if (all) {
    rmSync(COVERAGE, { recursive: true, force: true });
    process.env.NODE_V8_COVERAGE = join(COVERAGE, 'tmp');
  }
  const e2e = files.filter((file) => file.endsWith('.e2e.test.ts'));
  const others = files.filter((file) => !e2e.includes(file));
  if (others.length > 0) await runTests(others, 2, TEST_MS.normal);
  // The whole platform fills the machine: one at a time, and nothing beside it.
  if (e2e.length > 0) await runTests(e2e, 1, TEST_MS.e2e);
  delete process.env.NODE_V8_COVERAGE;
  if (all) await coverageGate();
  say(`in ${seconds(Date.now() - started)}`);
}

await main(process.argv.slice(2)).catch((error) => {
  tally.failed += 1;
  say(inspect(error));
});
say(`${tally.passed} passed, ${tally.failed} failed`);
process.exitCode = tally.failed === 0 ? 0 : 1;
