/** Moves dead letters back to their topic, once the reason why they failed is gone. */
import type { KafkaMessage } from 'kafkajs';
import type { KafkaContext } from './kafka-connect.ts';
import { connectAdmin } from './kafka-log.ts';
import { createProducer } from './kafka-producer.ts';
import { commitOffset, readTopic } from './kafka-read.ts';
import { revive } from './kafka-retry.ts';
import { deadLetterTopic } from './kafka-topics.ts';

/**
 * How far the dead letters were moved is kept as committed offsets of the group `<group>.redrive`. A crash between
 * writing and committing moves some of them twice, which consumers recognise. Two at a time move all of them twice.
 */
export async function redrive(context: KafkaContext, group: string, topic: string, limit: number): Promise<number> {
  const letters = deadLetterTopic(topic, group);
  const groupId = `${group}.redrive`;
  const admin = connectAdmin(context);
  const producer = createProducer(context);
  let moved = 0;

  async function move(partition: number, messages: readonly KafkaMessage[]): Promise<void> {
    const last = messages.at(-1);
    if (!last) return;
    await producer.sendRecords([{ topic, messages: messages.map(revive) }]);
    await commitOffset(context, groupId, letters, { partition, offset: BigInt(last.offset) + 1n });
    moved += messages.length;
  }

  try {
    const [committed] = await admin.use('reading moved letters', (a) => a.fetchOffsets({ groupId, topics: [letters] }));
    const from = new Map(
      committed?.partitions.filter((p) => Number(p.offset) >= 0).map((p) => [p.partition, BigInt(p.offset)]),
    );
    for await (const { partition, messages } of readTopic(context, letters, from)) {
      if (moved >= limit) break;
      await move(partition, messages.slice(0, limit - moved));
    }
    return moved;
  } finally {
    await producer.stop?.();
    await admin.close();
  }
}
