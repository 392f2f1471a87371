/** `flashsale start`, which `npm start` runs: the platform, the sample sale, a crowd, the proof; then it keeps serving. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Command } from 'commander';
import { parseDocument } from 'yaml';
import { note } from '../progress.ts';
import { requireRunning } from '../supervisor/running.ts';
import { applyText } from './apply.ts';
import { urlOf } from './crowd.ts';
import { describeProof, takeProof } from './proof.ts';
import { describeRush, keptPromise, sendCrowd } from './rush.ts';
import { openSales } from './sales.ts';
import { bringUp, withPlatformOptions, type UpOptions } from './up.ts';

const SAMPLE = join(import.meta.dirname, '../../samples/sneaker-drop.yaml');
/** From now to the opening: long enough to be warmed and Armed before it. */
const OPENS_IN_MS = 8000;
const OPEN_FOR_MS = 30 * 60_000;
const PUBLISHED_WITHIN_MS = 20_000;

/** Buyers of the crowd that rushes the sample sale. */
const BUYERS = 5000;

export function startCommand(): Command {
  return withPlatformOptions(new Command('start'))
    .description('start the platform, run the sample sale with a crowd, print the proof, keep serving')
    .action(async (options: UpOptions) => {
      const up = await bringUp(options);
      await Promise.race([runSample(), up.ended]);
      if (!up.ending.aborted) note('serving until Ctrl-C; watch the sale in a browser, or see `npx flashsale --help`');
      await up.ended;
    });
}

/** Applies the sample sale under a name that is free, sends the crowd, prints what became of it and the proof. */
async function runSample(): Promise<void> {
  const running = await requireRunning();
  const sales = await openSales(running);
  const name = freeName(new Set((await sales.list()).map((resource) => resource.name)));
  for (const line of await applyText(sales, await sampleSale(name, Date.now()))) note(line);
  note(`the sale: ${urlOf(running, 'EDGE_URL')}/sales/${name}`);
  await untilPublished(urlOf(running, 'EDGE_URL'), name);
  const report = await sendCrowd(name, running, { buyers: BUYERS });
  process.stdout.write(`${describeRush(report)}\n`);
  const proof = await takeProof(name, running);
  process.stdout.write(`${describeProof(proof)}\n`);
  if (!proof.holds || !keptPromise(report)) process.exitCode = 1;
}

/** `sneaker-drop`, or the first of `sneaker-drop-2`, … that is not taken: a name sells once. */
export function freeName(taken: ReadonlySet<string>): string {
  let name = 'sneaker-drop';
  for (let n = 2; taken.has(name); n++) name = `sneaker-drop-${n}`;
  return name;
}

/** Waits until the services know the sale. */
async function untilPublished(edge: string, name: string): Promise<void> {
  const until = Date.now() + PUBLISHED_WITHIN_MS;
  for (;;) {
    const answer = await fetch(`${edge}/api/v1/sales/${name}`).catch(() => undefined);
    if (answer?.ok) return;
    if (Date.now() > until) throw new Error(`the sale ${name} was not published: see operator.log in the data folder`);
    await pause(100);
  }
}

/** The sample sale under `name`, opening soon after `now` (Unix ms). */
export async function sampleSale(name: string, now: number): Promise<string> {
  const document = parseDocument(await readFile(SAMPLE, 'utf8'));
  document.setIn(['metadata', 'name'], name);
  document.setIn(['spec', 'opensAt'], new Date(now + OPENS_IN_MS).toISOString());
  document.setIn(['spec', 'closesAt'], new Date(now + OPEN_FOR_MS).toISOString());
  return document.toString();
}
