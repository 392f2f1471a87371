/** `flashsale members`: admits buyers to a members-only sale, by their account numbers. */
import { readFile } from 'node:fs/promises';
import { text as readAll } from 'node:stream/consumers';
import { createLogger } from '@flashsale/platform/log';
import { connectRedis, createSaleStore } from '@flashsale/platform/redis';
import { Command } from 'commander';
import { requireRunning } from '../supervisor/running.ts';
import { UsageError } from '../usage-error.ts';
import { findSale, openSales } from './sales.ts';

/** The bitmap of members ends here: 2 MiB a shard. */
const NUMBERS = 16 * 1024 * 1024;

export function membersCommand(): Command {
  return new Command('members')
    .description('admit buyers to a members-only sale; repeat it where Redis has lost its data')
    .argument('<name>', 'the FlashSale')
    .requiredOption(
      '-f, --filename <file>',
      'account numbers (`num` of the access token), one a line, or - for standard input',
    )
    .action(async (name: string, { filename }: { filename: string }) => {
      const running = await requireRunning();
      const { status } = await findSale(await openSales(running), name);
      if (!status?.accepted?.membersOnly) throw new UsageError(`the FlashSale "${name}" is not for members only`);
      const numbers = parseNumbers(filename === '-' ? await readAll(process.stdin) : await readFile(filename, 'utf8'));
      const redis = connectRedis(running.redisUrl, createLogger('members', 'warn', 2));
      try {
        await redis.start();
        await createSaleStore(redis).admitMembers(status.accepted, numbers);
      } finally {
        await redis.stop();
      }
      process.stdout.write(`${numbers.length} members may buy in ${name}\n`);
    });
}

/** Throws UsageError, naming the line. */
export function parseNumbers(text: string): number[] {
  const lines = text.split('\n').map((line) => line.trim());
  return lines.flatMap((line, at) => {
    if (line === '') return [];
    const number = Number(line);
    if (/^\d+$/.test(line) && number < NUMBERS) return [number];
    throw new UsageError(`line ${at + 1}: write an account number below ${NUMBERS}, not "${line.slice(0, 40)}"`);
  });
}
