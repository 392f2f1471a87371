/** `flashsale start`, which `npm start` runs: the platform, the sample sale, a crowd, the proof; then it keeps serving. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import { parseDocument } from 'yaml';
import { note } from '../progress.ts';
import { applyText } from './apply.ts';
import { listResources } from './resource-files.ts';
import { bringUp, withPlatformOptions, type UpOptions } from './up.ts';

const SAMPLE = join(import.meta.dirname, '../../samples/sneaker-drop.yaml');
/** From now to the opening: long enough to be warmed and Armed before it. */
const OPENS_IN_MS = 8000;
const OPEN_FOR_MS = 30 * 60_000;

/** What is done with the sample sale once it is applied: the crowd, then the proof. Ends early when `ending` aborts. */
export type Act = (sale: string, ending: AbortSignal) => Promise<void>;

export function startCommand(acts: readonly Act[]): Command {
  return withPlatformOptions(new Command('start'))
    .description('start the platform, run the sample sale with a crowd, print the proof, keep serving')
    .action(async (options: UpOptions) => {
      const up = await bringUp(options);
      try {
        const name = await applySample(join(options.data, 'resources'));
        for (const act of acts) if (!up.ending.aborted) await act(name, up.ending);
      } catch (error) {
        // A crowd that is cut off by Ctrl-C fails, and that is no news.
        if (!up.ending.aborted) {
          up.end();
          await up.ended;
          throw error;
        }
      }
      await up.ended;
    });
}

/** Applies the sample sale under a name that was not used yet: what an earlier start sold stays sold. Returns the name. */
async function applySample(dir: string): Promise<string> {
  const used = new Set((await listResources(dir)).map((resource) => resource.name));
  let name = 'sneaker-drop';
  for (let run = 2; used.has(name); run += 1) name = `sneaker-drop-${run}`;
  for (const line of await applyText(dir, await sampleSale(name, Date.now()))) note(line);
  return name;
}

/** The sample sale, opening soon after `now` (Unix ms). */
export async function sampleSale(name: string, now: number): Promise<string> {
  const document = parseDocument(await readFile(SAMPLE, 'utf8'));
  document.setIn(['metadata', 'name'], name);
  document.setIn(['spec', 'opensAt'], new Date(now + OPENS_IN_MS).toISOString());
  document.setIn(['spec', 'closesAt'], new Date(now + OPEN_FOR_MS).toISOString());
  return document.toString();
}
