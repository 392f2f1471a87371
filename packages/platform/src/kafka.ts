/** Kafka behind the ports of the domain: topics, producer, consumers, the log, and the way back from the dead letters. */
import { TOPICS, type PurchaseLog, type TopicName } from '@flashsale/sale';
import type { KafkaContext } from './kafka-connect.ts';
import { createConsumer, type ConsumerOptions } from './kafka-consumer.ts';
import { createLog } from './kafka-log.ts';
import { createProducer, type EventProducer } from './kafka-producer.ts';
import { redrive } from './kafka-redrive.ts';
import { createTopics, topicsOfGroup } from './kafka-topics.ts';
import type { Part } from './run.ts';

export type { ConsumerOptions, FailedEvent } from './kafka-consumer.ts';
export type { EventProducer } from './kafka-producer.ts';

export interface KafkaClient {
  /**
   * A part that, at its start, creates the topics that are missing: the sale's own, and the retry and dead-letter
   * topics of each consumer made by this client. `partitions` is 8 unless told; the broker's default replication.
   */
  ensureTopics(partitions?: number): Part;
  /** Writes events: idempotent, acks=all, 15 s a call. Throws DeadlineError or kafkajs's error; the events may be there or not. */
  producer(): EventProducer;
  /** A member of a consumer group; see `ConsumerOptions`. What fails goes to `<topic>.<group>.retry.5s`, `.1m`, `.10m`, then `.dlq`. */
  consumer(options: ConsumerOptions): Part;
  log(): PurchaseLog & Part;
  /** Moves at most `limit` dead letters of a group back to their topic, oldest first, each once. Returns how many. */
  redrive(group: string, topic: TopicName, limit: number): Promise<number>;
}

export function createKafka(options: KafkaContext): KafkaClient {
  const readers: ConsumerOptions[] = [];
  return {
    ensureTopics: (partitions = 8) => ({
      name: 'kafka-topics',
      start: () =>
        createTopics(options, [
          ...Object.values(TOPICS).map((topic) => ({ topic, partitions })),
          ...readers.flatMap(({ group, topics }) => topics.flatMap((topic) => topicsOfGroup(topic, group, partitions))),
        ]),
    }),
    producer: () => createProducer(options),
    consumer(consumer) {
      readers.push(consumer);
      return createConsumer(options, consumer);
    },
    log: () => createLog(options),
    redrive: (group, topic, limit) => redrive(options, group, topic, limit),
  };
}
