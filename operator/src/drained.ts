/** Whether every record that may still change a closed sale has been consumed, whatever other sales do meanwhile. */
import { TOPICS, type PartitionOffsets, type PurchaseLog, type TopicName } from '@flashsale/sale';

/**
 * The way of a purchase, in its order: each stage makes the records of the next. A stage is over once its groups have
 * consumed what the topic held when the stage began; other sales go on writing, so its end is not waited for.
 */
const STAGES: readonly { readonly topic: TopicName; readonly groups: readonly string[] }[] = [
  { topic: TOPICS.purchases, groups: ['payments', 'orders'] },
  { topic: TOPICS.payments, groups: ['orders'] },
  { topic: TOPICS.refunds, groups: ['payments-refunds'] },
  // `refunded`, in answer to the stage before.
  { topic: TOPICS.payments, groups: ['orders'] },
];

export class DrainWatch {
  #stage = 0;
  #ends: ReadonlyMap<number, number> | undefined;

  /** Records that are still to be consumed in the stage under way; 0: all stages are over. Throws what `log` throws. */
  async left(log: Pick<PurchaseLog, 'offsets'>): Promise<number> {
    for (let stage = STAGES[this.#stage]; stage; stage = STAGES[++this.#stage]) {
      const { topic, groups } = stage;
      const read = await Promise.all(groups.map((group) => log.offsets(topic, group)));
      const ends = (this.#ends ??= endsOf(topic, read[0] ?? []));
      const left = Math.max(...read.map((offsets) => behind(offsets, ends)));
      if (left > 0) return left;
      this.#ends = undefined;
    }
    return 0;
  }
}

function endsOf(topic: string, offsets: readonly PartitionOffsets[]): Map<number, number> {
  return new Map(
    offsets.map(({ partition, end }) => {
      if (end === null) throw new Error(`the end of partition ${partition} of ${topic} cannot be read`);
      return [partition, end];
    }),
  );
}

function behind(offsets: readonly PartitionOffsets[], ends: ReadonlyMap<number, number>): number {
  const read = new Map(offsets.map(({ partition, committed, start }) => [partition, Math.max(committed, start)]));
  return [...ends].reduce((left, [partition, end]) => left + Math.max(0, end - (read.get(partition) ?? 0)), 0);
}
