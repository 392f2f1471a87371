/** Whether every record that may still change a closed sale has been consumed, whatever other sales do meanwhile. */
import { RETRY_STEPS, retryGroup, retryTopic } from '@flashsale/platform/kafka-topics';
import { TOPICS, type PartitionOffsets, type PurchaseLog } from '@flashsale/sale';

interface Reader {
  readonly topic: string;
  readonly group: string;
}

/** A topic with its groups, then each step in which a record waits that one of them has put off. */
function stagesOf(topic: string, groups: readonly string[]): Reader[][] {
  const steps = RETRY_STEPS.map((step) =>
    groups.map((group) => ({ topic: retryTopic(topic, group, step), group: retryGroup(group) })),
  );
  return [groups.map((group) => ({ topic, group })), ...steps];
}

/**
 * The way of a purchase, in its order: each stage makes the records of the next. A stage is over once its groups have
 * consumed what its topics held when the stage began; other sales go on writing, so their end is not waited for.
 */
const STAGES: readonly (readonly Reader[])[] = [
  ...stagesOf(TOPICS.purchases, ['payments', 'orders']),
  ...stagesOf(TOPICS.payments, ['orders']),
  ...stagesOf(TOPICS.refunds, ['payments-refunds']),
  // `refunded`, in answer to the stage before.
  ...stagesOf(TOPICS.payments, ['orders']),
];

type Ends = ReadonlyMap<number, number>;

export class DrainWatch {
  #stage = 0;
  /** Of each reader of the stage under way, as they were when it began. */
  #ends: readonly Ends[] | undefined;

  /** Records that are still to be consumed in the stage under way; 0: all stages are over. Throws what `log` throws. */
  async left(log: Pick<PurchaseLog, 'offsets'>): Promise<number> {
    for (let stage = STAGES[this.#stage]; stage; stage = STAGES[++this.#stage]) {
      const read = await Promise.all(stage.map(({ topic, group }) => log.offsets(topic, group)));
      const ends = (this.#ends ??= read.map((offsets, at) => endsOf(stage[at]?.topic, offsets)));
      const left = Math.max(...read.map((offsets, at) => behind(offsets, ends[at] ?? new Map())));
      if (left > 0) return left;
      this.#ends = undefined;
    }
    return 0;
  }
}

function endsOf(topic: string | undefined, offsets: readonly PartitionOffsets[]): Ends {
  return new Map(
    offsets.map(({ partition, end }) => {
      if (end === null) throw new Error(`the end of partition ${partition} of ${topic} cannot be read`);
      return [partition, end];
    }),
  );
}

function behind(offsets: readonly PartitionOffsets[], ends: Ends): number {
  const read = new Map(offsets.map(({ partition, committed, start }) => [partition, Math.max(committed, start)]));
  return [...ends].reduce((left, [partition, end]) => left + Math.max(0, end - (read.get(partition) ?? 0)), 0);
}
