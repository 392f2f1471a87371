/** Hands the events of topics to one handler, at least once, and never lets one bad event hold up the others. */
import type { KafkaMessage } from 'kafkajs';
import type { SaleEvent, TopicName } from '@flashsale/sale';
import { backoff, type KafkaContext } from './kafka-connect.ts';
import { GroupMember, type Slice } from './kafka-group.ts';
import { createProducer, type RecordProducer } from './kafka-producer.ts';
import { decodeEvent, originOf, type Origin } from './kafka-record.ts';
import { dueAt, failedRecords, type Failure } from './kafka-retry.ts';
import { createTopics, RETRY_STEPS, retryGroup, retryTopic, topicsOfGroup, type RetryStep } from './kafka-topics.ts';
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
  const producer = createProducer(context);
  const handle = sliceHandler(context.log, options, producer, steps);
  const retryTopics = topics.flatMap((topic) => steps.map((step) => retryTopic(topic, group, step)));
  const members = [
    new GroupMember(context, { group, topics, handle }),
    new GroupMember(context, { group: retryGroup(group), topics: retryTopics, handle }),
  ];
  const leave = async (): Promise<void> => {
    await Promise.all(members.map((member) => member.stop()));
  };
  return {
    name: `kafka-consumer-${group}`,
    async start() {
      const plans = topics.flatMap((topic) => topicsOfGroup(topic, group, DEFAULT_PARTITIONS, steps));
      await createTopics(context, plans);
      await Promise.all([producer.start?.(), ...members.map((member) => member.start())]);
    },
    ready: () => members.every((member) => member.ready()),
    drain: leave,
    async stop() {
      await leave();
      await producer.stop?.();
    },
  };
}

/** What a member of a group does with the records that it is handed; failures go where `producer` writes them. */
export function sliceHandler(
  log: KafkaContext['log'],
  options: Pick<ConsumerOptions, 'group' | 'handle' | 'maxBatch'>,
  producer: Pick<RecordProducer, 'sendRecords'>,
  steps = RETRY_STEPS,
): (slice: Slice) => Promise<void> {
  const worker = new Worker(log, options, producer, steps);
  return (slice) => worker.handle(slice);
}

/** What is done with the records of a topic or of its retry topics. */
class Worker {
  readonly #log: KafkaContext['log'];
  readonly #options: Pick<ConsumerOptions, 'group' | 'handle' | 'maxBatch'>;
  readonly #producer: Pick<RecordProducer, 'sendRecords'>;
  readonly #steps: readonly RetryStep[];
  /** Failed calls in a row, by partition. */
  readonly #stumbles = new Map<string, number>();

  constructor(
    log: KafkaContext['log'],
    options: Pick<ConsumerOptions, 'group' | 'handle' | 'maxBatch'>,
    producer: Pick<RecordProducer, 'sendRecords'>,
    steps: readonly RetryStep[],
  ) {
    this.#log = log;
    this.#options = options;
    this.#producer = producer;
    this.#steps = steps;
  }

  /** Handles what is due; a record that is not due yet makes its partition wait for it. */
  async handle(slice: Slice): Promise<void> {
    const maxBatch = this.#options.maxBatch ?? DEFAULT_MAX_BATCH;
    let from = 0;
    while (from < slice.messages.length && slice.active()) {
      const now = Date.now();
      const candidates = slice.messages.slice(from, from + maxBatch);
      const early = candidates.findIndex((message) => dueAt(message) > now);
      const ready = early < 0 ? candidates : candidates.slice(0, early);
      if (!(await this.#attempt(slice, ready))) return;
      from += ready.length;
      const next = candidates[ready.length];
      if (next) {
        slice.pause(dueAt(next) - now);
        return;
      }
    }
  }

  /** True where the messages are done and committed; false where they come again later. */
  async #attempt(slice: Slice, messages: readonly KafkaMessage[]): Promise<boolean> {
    const last = messages.at(-1);
    if (!last) return true;
    const partition = `${slice.topic}/${slice.partition}`;
    try {
      await this.#process(slice, messages);
    } catch (error) {
      const failures = (this.#stumbles.get(partition) ?? 0) + 1;
      this.#stumbles.set(partition, failures);
      const wait = backoff(failures);
      const { group } = this.#options;
      this.#log.error({ err: error, group, partition, failures, wait }, 'a batch failed; it comes again');
      slice.pause(wait);
      return false;
    }
    this.#stumbles.delete(partition);
    await slice.done(last);
    return true;
  }

  async #process(slice: Slice, messages: readonly KafkaMessage[]): Promise<void> {
    const { events, unreadable } = decode(messages);
    const failed = events.size > 0 ? await this.#options.handle([...events.keys()]) : [];
    const origin = (message: KafkaMessage): Origin => originOf(slice.topic, slice.partition, message);
    const failures: Failure[] = unreadable.map(({ message, error }) => ({
      message,
      error,
      origin: origin(message),
      hopeless: true,
    }));
    for (const { event, error } of failed) {
      const message = events.get(event);
      if (!message) throw new Error('the handler returned an event that it was not given');
      failures.push({ message, error, origin: origin(message), hopeless: false });
    }
    if (failures.length === 0) return;
    const { group } = this.#options;
    this.#log.warn({ group, topic: slice.topic, count: failures.length, err: failures[0]?.error }, 'put off');
    await this.#producer.sendRecords(failedRecords(group, failures, Date.now(), this.#steps));
  }
}
