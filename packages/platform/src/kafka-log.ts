/** The log as the operator and the proof read it: offsets and lag of a group, and every event of a topic. */
import type { Admin } from 'kafkajs';
import type { PartitionOffsets, PurchaseLog, SaleEvent, TopicName } from '@flashsale/sale';
import { withDeadline } from './deadline.ts';
import { connectKafka, persist, type KafkaContext } from './kafka-connect.ts';
import { readTopic } from './kafka-read.ts';
import { decodeEvent } from './kafka-record.ts';
import type { Part } from './run.ts';
import { SharedCalls, SharedReads } from './shared-read.ts';

const CALL_DEADLINE_MS = 10_000;
const START_BOUND_MS = 60_000;

/** Runs `work` on an admin connection that is kept between calls, and made anew after a failure. */
export interface AdminConnection {
  use<T>(what: string, work: (admin: Admin) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export function connectAdmin(context: KafkaContext): AdminConnection {
  let current: { admin: Admin; connected: Promise<void> } | undefined;

  function open(): { admin: Admin; connected: Promise<void> } {
    const admin = connectKafka(context).admin();
    return { admin, connected: admin.connect() };
  }
  async function use<T>(what: string, work: (admin: Admin) => Promise<T>): Promise<T> {
    const connection = (current ??= open());
    try {
      return await withDeadline(
        what,
        CALL_DEADLINE_MS,
        connection.connected.then(() => work(connection.admin)),
      );
    } catch (error) {
      // Who fails first closes it, for all that it was shared by. That there is no such topic
      // says nothing against the connection.
      if (current === connection && !isUnknownTopic(error)) {
        current = undefined;
        void connection.admin.disconnect().catch(() => undefined);
      }
      throw error;
    }
  }
  return {
    use,
    async close() {
      const last = current;
      current = undefined;
      await last?.admin.disconnect();
    },
  };
}

const isUnknownTopic = (error: unknown): boolean =>
  (error as { type?: unknown } | null)?.type === 'UNKNOWN_TOPIC_OR_PARTITION';

async function readOffsets(admin: Admin, topic: string, group: string): Promise<PartitionOffsets[]> {
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
  const [ends, groups] = [
    await admin.fetchTopicOffsets(topic),
    await admin.fetchOffsets({ groupId: group, topics: [topic] }),
  ];
  const committed = new Map(groups[0]?.partitions.map((p) => [p.partition, Number(p.offset)]));
  const bounds = new Map(ends.map((p) => [p.partition, p]));
  return (topics[0]?.partitions ?? [])
    .map(({ partitionId: partition }) => {
      const found = bounds.get(partition);
      return {
        partition,
        committed: committed.get(partition) ?? -1,
        start: Number(found?.low ?? 0),
        end: found ? Number(found.high) : null,
      };
    })
    .toSorted((a, b) => a.partition - b.partition);
}

export function createLog(context: KafkaContext): PurchaseLog & Part {
  const connection = connectAdmin(context);
  const reads = new SharedReads(readEvents);
  const calls = new SharedCalls<PartitionOffsets[]>();
  let reached = false;
  return {
    name: 'kafka-log',

    /** Empty where there is no such topic. */
    async offsets(topic, group) {
      try {
        const read = () => connection.use('reading offsets', (admin) => readOffsets(admin, topic, group));
        return await calls.call(`${topic} ${group}`, read);
      } catch (error) {
        if (isUnknownTopic(error)) return [];
        throw error;
      }
    },

    /** Partition by partition, each in order. Records that hold no event are passed over: they went to the dead letters. */
    async *readAll(topic: TopicName): AsyncGenerator<SaleEvent> {
      for await (const events of reads.read(topic)) yield* events;
    },

    async start() {
      await persist('connecting to Kafka', context, START_BOUND_MS, () =>
        connection.use('connecting to Kafka', () => Promise.resolve()),
      );
      reached = true;
    },
    ready: () => reached,
    stop: () => connection.close(),
  };

  async function* readEvents(topic: string): AsyncGenerator<readonly SaleEvent[]> {
    for await (const { partition, messages } of readTopic(context, topic)) {
      yield messages.flatMap(({ value, offset }) => tryDecode(value, `${topic}/${partition}@${offset}`) ?? []);
    }
  }

  function tryDecode(value: Buffer | null, place: string): SaleEvent | undefined {
    try {
      return decodeEvent(value);
    } catch (error) {
      context.log.warn({ err: error, place }, 'a record holds no event');
      return undefined;
    }
  }
}
