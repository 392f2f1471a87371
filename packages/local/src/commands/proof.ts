/** `flashsale proof`: compares Redis, Kafka and ledger, and says what does not add up. */
import { prove, type Proof } from '@flashsale/operator/proof';
import { createKafka } from '@flashsale/platform/kafka';
import { createLedger } from '@flashsale/platform/ledger-http';
import { createLogger } from '@flashsale/platform/log';
import { connectRedis, createSaleStore } from '@flashsale/platform/redis';
import { Command, Option } from 'commander';
import { requireRunning, type RunningPlatform } from '../supervisor/running.ts';
import { UsageError } from '../usage-error.ts';
import { urlOf } from './crowd.ts';
import { findSale, openSales } from './sales.ts';

export function proofCommand(): Command {
  return new Command('proof')
    .description('compare Redis, Kafka and ledger for one sale; exit 1 where they do not add up')
    .argument('<name>', 'the FlashSale')
    .addOption(new Option('-o, --output <format>', 'instead of text').choices(['json']))
    .action(async (name: string, { output }: { output?: 'json' }) => {
      const proof = await takeProof(name, await requireRunning());
      process.stdout.write(`${output === 'json' ? JSON.stringify(proof) : describeProof(proof)}\n`);
      if (!proof.holds) process.exitCode = 1;
    });
}

/** Takes the proof of a sale of the running platform, with connections of its own. */
export async function takeProof(name: string, running: RunningPlatform): Promise<Proof> {
  const { status } = await findSale(await openSales(running), name);
  const sale = status?.accepted;
  if (!sale) throw new UsageError(`the FlashSale "${name}" was not accepted yet: see \`npx flashsale get ${name}\``);
  const log = createLogger('proof', 'warn', 2);
  const redis = connectRedis(running.redisUrl, log);
  const kafka = createKafka({ brokers: running.kafkaBrokers, clientId: 'proof', log }).log();
  try {
    await redis.start();
    await kafka.start?.();
    const ledger = createLedger(urlOf(running, 'ORDERS_URL'));
    return await prove(sale, { store: createSaleStore(redis), log: kafka, ledger });
  } finally {
    await kafka.stop?.();
    await redis.stop();
  }
}

/** The proof for people. */
export function describeProof(proof: Proof): string {
  const { sale, stock, free, held, sold, refunded, oversold, doubleBuyers, unsettled } = proof;
  const rows = [
    ['stock', stock, `= ${free} free + ${held} held + ${sold} sold`],
    ['sold', sold, 'by the ledger'],
    ['refunded', refunded, 'charges given back'],
    ['oversold', oversold, 'units beyond the stock'],
    ['double buyers', doubleBuyers, 'over their limit'],
    ['unsettled', unsettled, 'purchases past their time without an ending'],
  ] as const;
  const lines = rows.map(([what, n, note]) => `  ${what.padEnd(14)}${String(n).padStart(8)}  ${note}`);
  const end = proof.holds ? 'holds: true' : `holds: false\n${proof.problems.map((text) => `  - ${text}`).join('\n')}`;
  return [`Proof of ${sale}: Redis, Kafka and ledger compared`, ...lines, end].join('\n');
}
