/** What the commands that act as test buyers share: the running platform's addresses and fresh buyer numbers. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InvalidArgumentError } from 'commander';
import { withLock } from '../lock.ts';
import type { RunningPlatform } from '../supervisor/running.ts';

/** Reserves `count` numbers of test buyers that no command on this data used before. Returns the first. */
export async function takeBuyers({ dataDir }: Pick<RunningPlatform, 'dataDir'>, count: number): Promise<number> {
  const file = join(dataDir, 'next-buyer');
  return withLock(`buyers ${dataDir}`, async () => {
    const first = Number(await readFile(file, 'utf8').catch(() => '1'));
    await writeFile(file, String(first + count));
    return first;
  });
}

/** An address of the running platform. */
export function urlOf(running: Pick<RunningPlatform, 'urls'>, name: string): string {
  const url = running.urls[name];
  if (url === undefined) throw new Error(`the running platform has no ${name}`);
  return url;
}

/** Parses an option that counts something. */
export function countOption(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 1_000_000) {
    throw new InvalidArgumentError('write a whole number from 1 to 1000000.');
  }
  return value;
}
