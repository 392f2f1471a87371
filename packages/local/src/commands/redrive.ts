/** `flashsale redrive`: sends dead letters back to their topic, once the reason why they failed is gone. */
import { createKafka } from '@flashsale/platform/kafka';
import { createLogger } from '@flashsale/platform/log';
import { TOPICS } from '@flashsale/sale';
import { Argument, Command } from 'commander';
import { requireRunning } from '../supervisor/running.ts';
import { countOption } from './crowd.ts';

const DEFAULT_LIMIT = 1000;

export function redriveCommand(): Command {
  return new Command('redrive')
    .description('send dead letters of a consumer group back to their topic')
    .argument('<group>', 'the consumer group, for example payments')
    .addArgument(new Argument('<topic>', 'the topic they came from').choices(Object.values(TOPICS)))
    .option('--limit <n>', 'at most so many', countOption, DEFAULT_LIMIT)
    .action(async (group: string, topic: (typeof TOPICS)[keyof typeof TOPICS], { limit }: { limit: number }) => {
      const { kafkaBrokers } = await requireRunning();
      const kafka = createKafka({
        brokers: kafkaBrokers,
        clientId: 'redrive',
        log: createLogger('redrive', 'warn', 2),
      });
      const moved = await kafka.redrive(group, topic, limit);
      process.stdout.write(`${moved} dead letters of ${group} went back to ${topic}\n`);
    });
}
