/** `flashsale rush`: a crowd of different buyers at one sale, every one followed to his ending. */
import { Command, Option } from 'commander';
import { note } from '../progress.ts';
import { rush, type RushReport } from '../rush/rush.ts';
import { requireRunning, type RunningPlatform } from '../supervisor/running.ts';
import { countOption, takeBuyers, urlOf } from './crowd.ts';
import { describeProof, takeProof } from './proof.ts';

interface RushFlags {
  readonly buyers: number;
  readonly concurrency: number;
  readonly seed?: number;
  readonly output?: 'json';
}

const DEFAULT_CONCURRENCY = 256;

export function rushCommand(): Command {
  return new Command('rush')
    .description('send a crowd of different buyers at a sale and wait until all are settled')
    .argument('<name>', 'the FlashSale')
    .requiredOption('--buyers <n>', 'how many different buyers', countOption)
    .option('--concurrency <c>', 'purchases under way at once', countOption, DEFAULT_CONCURRENCY)
    .option('--seed <s>', 'repeats the same order of buyers', Number)
    .addOption(new Option('-o, --output <format>', 'instead of text').choices(['json']))
    .action(async (name: string, flags: RushFlags) => {
      const running = await requireRunning();
      const report = await sendCrowd(name, running, flags);
      process.stdout.write(`${flags.output === 'json' ? JSON.stringify(report) : describeRush(report)}\n`);
      const proof = await takeProof(name, running);
      if (flags.output !== 'json') process.stdout.write(`${describeProof(proof)}\n`);
      if (!proof.holds || !keptPromise(report)) process.exitCode = 1;
    });
}

/** Sends `buyers` fresh test buyers at the sale. */
export async function sendCrowd(
  sale: string,
  running: RunningPlatform,
  { buyers, concurrency = DEFAULT_CONCURRENCY, seed }: { buyers: number; concurrency?: number; seed?: number },
): Promise<RushReport> {
  const urls = {
    edge: urlOf(running, 'EDGE_URL'),
    identity: urlOf(running, 'IDENTITY_URL'),
    payments: urlOf(running, 'PAYMENTS_URL'),
  };
  const firstBuyer = await takeBuyers(running, buyers);
  return rush({
    sale,
    buyers,
    concurrency,
    firstBuyer,
    urls,
    onProgress: note,
    ...(seed === undefined ? {} : { seed }),
  });
}

/** Every buyer has one ending, and none of them is "nobody answered". */
export function keptPromise(report: RushReport): boolean {
  const { sold, refused, soldOut, other, errors, unsettled } = report;
  return errors === 0 && unsettled === 0 && sold + refused + soldOut + other === report.buyers;
}

/** The report for people. */
export function describeRush(report: RushReport): string {
  const rows = [
    ['sold', report.sold, 'paid and confirmed by the ledger'],
    ['refused', report.refused, 'payment refused, the unit went back on sale'],
    ['sold out', report.soldOut, 'told that nothing is left'],
    ['given back', report.other, 'ran out of time, or refunded'],
    [
      'errors',
      report.errors,
      Object.entries(report.errorCodes)
        .map(([code, n]) => `${code} ${n}`)
        .join(', '),
    ],
    ['unsettled', report.unsettled, 'without a final answer'],
  ] as const;
  const lines = rows.map(([what, n, text]) => `  ${what.padEnd(14)}${String(n).padStart(8)}  ${text}`.trimEnd());
  const speed = `p50 ${report.p50Ms} ms, p99 ${report.p99Ms} ms, ${report.perSecond} buyers a second`;
  const news = `${report.pushed} heard by WebSocket, ${report.polled} asked; ${report.retries} retries; seed ${report.seed}`;
  return [`Rush on ${report.sale}: ${report.buyers} buyers`, ...lines, `  ${speed}`, `  ${news}`].join('\n');
}
