/** `npm run load -- SCENARIO`: a load scenario on the running platform, its thresholds, the proof, the report. */
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { describeProof, takeProof } from '@flashsale/local/commands/proof';
import { stateHome } from '@flashsale/local/paths';
import type { RunningPlatform } from '@flashsale/local/supervisor/running';
import { urlOf } from '@flashsale/local/commands/crowd';
import { runCommand } from './command.ts';
import { table } from './figures.ts';
import { findK6, runK6 } from './k6.ts';
import { K6Samples } from './k6-samples.ts';
import { helpText, readOptions, type LoadOptions } from './load-options.ts';
import { borrowPlatform } from './load-platform.ts';
import { figuresOf, memoryGrowth, RECORD_FORM, slicesOf, type LoadRun, type Reading } from './load-run.ts';
import { freshTokens, openSale, putProducts, SKU, untilSettled, watch } from './load-sale.ts';
import { bound, format, renderReport } from './report.ts';
import { compare, historyOf, type Comparison } from './report-compare.ts';
import { FOLLOW_SECONDS, SHAPES, type Plan } from './scenarios.ts';
import { objectivesOf } from './slo.ts';
import { judge } from './slo-judge.ts';

const PROGRESS_MS = 5_000;
/** Beyond arrivals and followers: start, late endings, the proof. */
const SPARE_MS = 10 * 60_000;

await runCommand('load', main);

async function main(signal: AbortSignal): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (options === undefined) {
    process.stdout.write(helpText());
    return 0;
  }
  const k6 = await findK6();
  const platform = await borrowPlatform(options.up);
  try {
    const sent = await send(k6, platform.running, options, signal);
    const { run, comparison, report } = await keep(sent, options.report);
    process.stdout.write(options.output === 'json' ? `${JSON.stringify(run)}\n` : asText(run, comparison));
    console.error(`report: ${report}`);
    return run.verdicts.every(({ held }) => held) ? 0 : 1;
  } finally {
    await platform.end();
  }
}

/** A run that was not yet put beside others. */
type Sent = Omit<LoadRun, 'history'>;

/** One run from the sale to the verdicts. */
async function send(k6: string, running: RunningPlatform, options: LoadOptions, signal: AbortSignal): Promise<Sent> {
  const { scenario, size } = options;
  const startedAt = new Date().toISOString();
  const sale = `load-${scenario}-${Date.now().toString(36)}`;
  console.error(
    `${scenario}: ${size.buyers} buyers, ${size.rate} a second, on the sale ${sale} of ${size.stock} units`,
  );
  await openSale(running, { name: sale, stock: size.stock, openForMs: openFor(size.seconds) }, signal);
  if (SHAPES[scenario].browses === true) await putProducts(running);
  const folder = await mkdtemp(join(tmpdir(), 'flashsale-k6-'));
  const samples = new K6Samples();
  const readings: Reading[] = [];
  const watching = new AbortController();
  const watched = watch(running, sale, readings, watching.signal);
  const progress = setInterval(() => tell(samples, readings), PROGRESS_MS);
  try {
    const tokensFile = join(folder, 'tokens');
    await writeFile(tokensFile, await freshTokens(running, size.buyers), { mode: 0o600 });
    const summaryFile = join(folder, 'summary.json');
    const plan: Plan = {
      ...size,
      scenario,
      baseUrl: urlOf(running, 'EDGE_URL'),
      sale,
      sku: SKU,
      tokensFile,
      summaryFile,
    };
    const { summary } = await runK6(k6, plan, samples, signal);
    await untilSettled(running, sale, signal);
    const proof = await takeProof(sale, running);
    const verdicts = judge(objectivesOf(scenario, size), summary, {
      proof_problems: proof.problems.length + (proof.holds ? 0 : 1),
      units_oversold: proof.oversold,
      units_sold: proof.sold,
      memory_growth: memoryGrowth(readings),
    });
    const base = {
      form: RECORD_FORM,
      scenario,
      sale,
      startedAt,
      size,
      machineCores: availableParallelism(),
      verdicts,
      proof,
    };
    const outcomes = Object.fromEntries(samples.outcomes);
    return { ...base, outcomes, slices: slicesOf(samples, readings), figures: figuresOf(samples, readings) };
  } finally {
    clearInterval(progress);
    watching.abort();
    await watched;
    await rm(folder, { recursive: true, force: true });
  }
}

function openFor(seconds: number): number {
  return (seconds + FOLLOW_SECONDS) * 1000 + SPARE_MS;
}

function tell({ outcomes }: K6Samples, readings: readonly Reading[]): void {
  const counts = [...outcomes].map(([outcome, n]) => `${n} ${outcome}`).join(', ');
  console.error(`${counts === '' ? 'nobody has come yet' : counts}; ${readings.at(-1)?.remaining ?? '?'} units left`);
}

interface Kept {
  readonly run: LoadRun;
  readonly comparison: Comparison;
  readonly report: string;
}

/** Writes the report and the record, which takes the place of the one that it is compared with. */
async function keep(sent: Sent, asked: string | undefined): Promise<Kept> {
  const folder = join(stateHome(), 'load');
  const record = join(folder, `${sent.scenario}.json`);
  const before = await readRecord(record);
  const run: LoadRun = { ...sent, history: historyOf(sent, before) };
  const comparison = compare(run, before);
  const report = asked === undefined ? join(folder, `${run.scenario}.html`) : resolve(asked);
  await mkdir(folder, { recursive: true });
  await mkdir(dirname(report), { recursive: true });
  await writeFile(report, renderReport(run, comparison));
  await writeFile(`${record}.new`, JSON.stringify(run));
  await rename(`${record}.new`, record);
  return { run, comparison, report };
}

/** Undefined where there is none, or one that cannot be read. */
async function readRecord(file: string): Promise<LoadRun | undefined> {
  try {
    const record = JSON.parse(await readFile(file, 'utf8')) as LoadRun;
    return record.form === RECORD_FORM ? record : undefined;
  } catch {
    return undefined;
  }
}

function asText({ outcomes, verdicts, proof }: LoadRun, { rows, with: before, unlike }: Comparison): string {
  const thresholds = verdicts.map(({ name, value, rule, held }) => [
    name,
    value === undefined ? 'not measured' : format(value),
    bound(rule),
    held ? 'held' : 'MISSED',
  ]);
  const figures = rows.map(({ name, unit, now, before: then, noise, change }) => [
    `${name}, ${unit}`,
    format(now),
    then === undefined ? '' : format(then),
    noise === undefined ? '' : format(noise),
    change,
  ]);
  const against = before === undefined ? 'first run' : (unlike ?? `against ${before}`);
  return [
    table([['Answers', ''], ...Object.entries(outcomes).map(([outcome, n]) => [outcome, String(n)])]),
    table([['Threshold', 'is', 'wanted', ''], ...thresholds]),
    table([[`Figure (${against})`, 'now', 'before', 'noise', ''], ...figures]),
    `${describeProof(proof)}\n`,
  ].join('\n\n');
}
