/** A process' producer, consumers and log reader on the simulated Kafka: what `createKafka` is to a real one. */
import type { ConsumerOptions } from '@flashsale/platform/kafka';
import { sliceHandler } from '@flashsale/platform/kafka-consumer';
import type { Slice } from '@flashsale/platform/kafka-group';
import type { EventProducer, RecordProducer } from '@flashsale/platform/kafka-producer';
import { decodeEvent, encodeEvent } from '@flashsale/platform/kafka-record';
import { RETRY_STEPS, retryGroup, retryTopic } from '@flashsale/platform/kafka-topics';
import type { Logger } from '@flashsale/platform/log';
import type { PurchaseLog, TopicName } from '@flashsale/sale';
import type { Life } from '../life.ts';
import { tooLate, type Network, type Store } from '../network.ts';
import { randomOf, type Random } from '../random.ts';
import type { Assignment, Broker, LogRecord, Member, NewRecord } from './broker.ts';

/** A call of a group member or of the log; see kafka-log.ts of packages/platform. */
const CALL: Store = { name: 'kafka', deadlineMs: 10_000, unreachable: tooLate('kafka', 10_000) };
/** As in kafka-producer.ts of packages/platform. */
const SEND: Store = { name: 'kafka', deadlineMs: 15_000, unreachable: tooLate('a send to kafka', 15_000) };
/** A member that failed joins again after about so long. */
const REJOIN_MS = 400;
/** A member that died is missed after about so long; a real session times out after 10 s. */
const SESSION_MS = 1_500;
const PAGE = 64;

export interface LogClientOptions {
  readonly network: Network;
  readonly broker: Broker;
  readonly log: Logger;
  readonly seed: number;
  /** Share of slices in which records come out of order. */
  readonly shuffles: () => number;
}

export interface LogClient {
  producer(): Pick<EventProducer, 'send' | 'sendRecords'>;
  /** Joins the group at once. */
  consume(options: ConsumerOptions): void;
  log(): PurchaseLog;
}

type Message = Parameters<RecordProducer['sendRecords']>[0][number]['messages'][number];

function recordOf({ key, value, headers }: Message): NewRecord {
  const texts = Object.entries(headers ?? {}).map(([name, text]) => [name, String(text)]);
  return {
    key: String(key),
    value: value === null ? null : Buffer.from(value),
    headers: Object.fromEntries(texts) as Record<string, string>,
  };
}

export function simulatedKafka(life: Life, options: LogClientOptions): LogClient {
  const { network, broker } = options;
  const sendRecords: RecordProducer['sendRecords'] = async (batches) => {
    const filled = batches.filter(({ messages }) => messages.length > 0);
    if (filled.length === 0) return;
    const size = filled.reduce((sum, { messages }) => sum + messages.length, 0);
    const effect = (): void => {
      for (const { topic, messages } of filled) broker.append(topic, messages.map(recordOf));
    };
    const detail = (): string => `${filled.map(({ topic }) => topic).join(',')} ${size} records`;
    await network.call(life, SEND, 'produce', effect, { lane: 'kafka', detail });
  };
  return {
    producer: () => ({
      sendRecords,
      send: (topic, events) => sendRecords([{ topic, messages: events.map(encodeEvent) }]),
    }),
    consume(consumer) {
      const { group, topics } = consumer;
      const handle = sliceHandler(options.log, consumer, { sendRecords });
      const later = topics.flatMap((topic) => RETRY_STEPS.map((step) => retryTopic(topic, group, step)));
      new GroupMember(life, options, group, topics, handle).join();
      new GroupMember(life, options, retryGroup(group), later, handle).join();
    },
    log: () => ({
      offsets: (topic, group) =>
        network.call(life, CALL, 'offsets', () => offsetsOf(broker, topic, group), {
          detail: () => `${topic} ${group}`,
        }),
      readAll: (topic) => readAll(life, options, topic),
    }),
  };
}

function offsetsOf(broker: Broker, topic: string, group: string) {
  return broker.partitions(topic).map((records, partition) => ({
    partition,
    committed: broker.committed(group, topic, partition),
    start: 0,
    end: records.length,
  }));
}

async function* readAll(life: Life, { network, broker }: LogClientOptions, topic: TopicName) {
  const ends = await network.call(life, CALL, 'ends', () => broker.partitions(topic).map(({ length }) => length), {
    detail: () => topic,
  });
  for (const [partition, end] of ends.entries()) {
    for (let from = 0; from < end; from += PAGE) {
      const page = (): readonly LogRecord[] =>
        broker.partitions(topic)[partition]?.slice(from, Math.min(from + PAGE, end)) ?? [];
      const records = await network.call(life, CALL, 'fetch', page, { detail: () => `${topic}/${partition}@${from}` });
      for (const { value } of records) yield decodeEvent(value);
    }
  }
}

/** Reads one partition as long as its assignment holds. */
interface Reading {
  readonly assignment: Assignment;
  position: number;
  busy: boolean;
  pausedUntil: number;
}

/** A member of a group: it is handed slices, one of a partition at a time, and joins again where it stumbles. */
class GroupMember implements Member {
  readonly life: Life;
  readonly topics: readonly string[];
  readonly #options: LogClientOptions;
  readonly #group: string;
  readonly #handle: (slice: Slice) => Promise<void>;
  readonly #random: Random;
  #readings = new Map<string, Reading>();

  constructor(
    life: Life,
    options: LogClientOptions,
    group: string,
    topics: readonly string[],
    handle: (slice: Slice) => Promise<void>,
  ) {
    this.life = life;
    this.topics = topics;
    this.#options = options;
    this.#group = group;
    this.#handle = handle;
    this.#random = randomOf(options.seed, 'group', group, life.name, life.number);
  }

  join(): void {
    const { network, broker } = this.#options;
    this.life.onDeath.push(() => {
      const missedMs = SESSION_MS * (0.2 + this.#random.next());
      network.scheduler.after(missedMs, undefined, () => broker.leave(this.#group, this));
    });
    broker.join(this.#group, this);
  }

  onAssigned(assignments: readonly Assignment[]): void {
    const { broker } = this.#options;
    this.#readings = new Map(
      assignments.map((assignment) => {
        const { topic, partition } = assignment;
        const position = Math.max(broker.committed(this.#group, topic, partition), 0);
        return [`${topic}/${partition}`, { assignment, position, busy: false, pausedUntil: 0 }];
      }),
    );
    for (const reading of this.#readings.values()) this.#pump(reading);
  }

  onRecords(topic: string, partition: number): void {
    const reading = this.#readings.get(`${topic}/${partition}`);
    if (reading) this.#pump(reading);
  }

  /** Hands the next slice out, where there is something to read and nothing under way. */
  #pump(reading: Reading): void {
    const { network, broker } = this.#options;
    const { topic, partition } = reading.assignment;
    const records = broker.partitions(topic)[partition] ?? [];
    if (reading.busy || reading.position >= records.length) return;
    reading.busy = true;
    const { scheduler, hooks } = network;
    const wait = Math.max(network.latency(this.life), reading.pausedUntil - scheduler.now);
    scheduler.after(wait, this.life, () => {
      if (hooks.isCut(this.life.name, 'kafka')) this.#again(reading, REJOIN_MS);
      else void this.#deliver(reading);
    });
  }

  #again(reading: Reading, delayMs: number): void {
    this.#options.network.scheduler.after(delayMs, this.life, () => {
      reading.busy = false;
      if (this.#isCurrent(reading)) this.#pump(reading);
    });
  }

  #isCurrent({ assignment }: Reading): boolean {
    return this.#options.broker.isCurrent(this.#group, assignment);
  }

  async #deliver(reading: Reading): Promise<void> {
    const { network, broker } = this.#options;
    const { topic, partition } = reading.assignment;
    const slice = this.#sliceOf(reading);
    if (network.hooks.tracing) {
      const [first] = slice.messages;
      network.hooks.trace(`${this.life.name} reads ${topic}/${partition}@${first?.offset} ×${slice.messages.length}`);
    }
    try {
      await this.#handle(slice);
      this.#again(reading, 0);
    } catch {
      // As a consumer that crashed: it joins again, and whoever gets the partition reads on from what is committed.
      network.scheduler.after(REJOIN_MS, this.life, () => broker.rebalance(this.#group));
    }
  }

  #sliceOf(reading: Reading): Slice {
    const { network, broker } = this.#options;
    const { assignment } = reading;
    const { topic, partition } = assignment;
    const size = this.#random.pick([1, 2, 5, 20, 50]);
    const inOrder = broker.partitions(topic)[partition]?.slice(reading.position, reading.position + size) ?? [];
    const messages = this.#random.chance(this.#options.shuffles()) ? shuffled(inOrder, this.#random) : inOrder;
    return {
      topic,
      partition,
      messages,
      active: () => this.#isCurrent(reading),
      done: async ({ offset }) => {
        const next = Number(offset) + 1;
        reading.position = next;
        await network.call(this.life, CALL, 'commit', () => broker.commit(this.#group, assignment, next), {
          detail: () => `${this.#group} ${topic}/${partition}@${next}`,
        });
      },
      pause: (ms) => (reading.pausedUntil = network.scheduler.now + ms),
    };
  }
}

/** Out of order, but each with the offset of its place: what is committed stays what was read. */
function shuffled(records: readonly LogRecord[], random: Random): LogRecord[] {
  return random.shuffled(records).map((record, i) => ({ ...record, offset: records[i]?.offset ?? record.offset }));
}
