/** Hands the events of topics to one handler, at least once, and never lets one bad event hold up the others. */
import type { KafkaMessage } from 'kafkajs';
import type { SaleEvent, TopicName } from '@flashsale/sale';
import { backoff, type KafkaContext } from './kafka-connect.ts';
import { createGroup, type Slice } from './kafka-group.ts';
import { createProducer } from './kafka-producer.ts';
import { decodeEvent, originOf } from './kafka-record.ts';
import { dueAt, failedRecords, type Failure } from './kafka-retry.ts';
import { createTopics, RETRY_STEPS, retryTopic, topicsOfGroup } from './kafka-topics.ts';
import type { Part } from './run.ts';

export interface FailedEvent {
  readonly event: SaleEvent;
  readonly error: unknown;
}

export interface ConsumerOptions {
  readonly group: string;
  readonly topics: readonly TopicName[];
  /**
   * Events of one partition, in order; other partitions may be handled at the same time. An event may come again:
   * the handler must be idempotent. Returns the events that failed on their own; they are tried again later, apart.
   * Where it throws, nothing counts as done: the same events come again after a pause.
   */
  handle(events: readonly SaleEvent[]): Promise<readonly FailedEvent[]>;
  /** Most events of one call; 500 unless told. */
  readonly maxBatch?: number;
}

const DEFAULT_MAX_BATCH = 500;
const DEFAULT_PARTITIONS = 8;

interface Decoded {
  readonly events: ReadonlyMap<SaleEvent, KafkaMessage>;
  readonly unreadable: readonly { readonly message: KafkaMessage; readonly error: unknown }[];
}

function decode(messages: readonly KafkaMessage[]): Decoded {
  const events = new Map<SaleEvent, KafkaMessage>();
  const unreadable: { message: KafkaMessage; error: unknown }[] = [];
  for (const message of messages) {
    try {
      events.set(decodeEvent(message.value), message);
    } catch (error) {
      unreadable.push({ message, error });
    }
  }
  return { events, unreadable };
}

export function createConsumer(context: KafkaContext, options: ConsumerOptions, steps = RETRY_STEPS): Part {
  const { group, topics } = options;
  const { log } = context;
  const maxBatch = options.maxBatch ?? DEFAULT_MAX_BATCH;
  const producer = createProducer(context);
  /** Failed calls in a row, by partition. */
  const stumbles = new Map<string, number>();

  async function work(slice: Slice, messages: readonly KafkaMessage[]): Promise<void> {
    const { events, unreadable } = decode(messages);
    const failed = events.size > 0 ? await options.handle([...events.keys()]) : [];
    const failures: Failure[] = unreadable.map((record) => ({
      ...record,
      origin: place(record.message),
      hopeless: true,
    }));
    for (const { event, error } of failed) {
      const message = events.get(event);
      if (!message) throw new Error('the handler returned an event that it was not given');
      failures.push({ message, error, origin: place(message), hopeless: false });
    }
    if (failures.length === 0) return;
    log.warn({ group, topic: slice.topic, failures: failures.length, err: failures[0]?.error }, 'events put off');
    await producer.sendRecords(failedRecords(group, failures, Date.now(), steps));

    function place(message: KafkaMessage): Failure['origin'] {
      return originOf(slice.topic, slice.partition, message);
    }
  }

  /** True where the messages are done; false where they come again later. */
  async function attempt(slice: Slice, messages: readonly KafkaMessage[]): Promise<boolean> {
    const partition = `${slice.topic}/${slice.partition}`;
    try {
      await work(slice, messages);
      stumbles.delete(partition);
      return true;
    } catch (error) {
      const failures = (stumbles.get(partition) ?? 0) + 1;
      stumbles.set(partition, failures);
      log.error({ err: error, group, partition, failures }, 'a batch failed as a whole; it comes again');
      slice.pause(backoff(failures));
      return false;
    }
  }

  /** For both the topics and their retry topics: a record that is not due yet makes its partition wait. */
  async function handle(slice: Slice): Promise<void> {
    let from = 0;
    while (from < slice.messages.length && slice.active()) {
      const now = Date.now();
      const candidates = slice.messages.slice(from, from + maxBatch);
      const early = candidates.findIndex((message) => dueAt(message) > now);
      const ready = early < 0 ? candidates : candidates.slice(0, early);
      const last = ready.at(-1);
      if (last) {
        if (!(await attempt(slice, ready))) return;
        await slice.done(last);
        from += ready.length;
      }
      const next = early < 0 ? undefined : candidates[early];
      if (next) {
        slice.pause(dueAt(next) - now);
        return;
      }
    }
  }

  const retryTopics = topics.flatMap((topic) => steps.map((step) => retryTopic(topic, group, step)));
  const parts = [
    producer,
    createGroup(context, { group, topics, handle }),
    // A group of its own, so that what waits does not count as lag of the group that is scaled on it.
    createGroup(context, { group: `${group}.retry`, topics: retryTopics, handle }),
  ];
  const inReverse = async (step: (part: Part) => Promise<void> | undefined): Promise<void> => {
    for (const part of parts.toReversed()) await step(part);
  };
  return {
    name: `kafka-consumer-${group}`,
    async start() {
      await createTopics(
        context,
        topics.flatMap((topic) => topicsOfGroup(topic, group, DEFAULT_PARTITIONS, steps)),
      );
      for (const part of parts) await part.start?.();
    },
    ready: () => parts.every((part) => part.ready?.() ?? true),
    drain: () => inReverse((part) => part.drain?.()),
    stop: () => inReverse((part) => part.stop?.()),
  };
}
