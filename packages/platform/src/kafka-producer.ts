/** Writes records so that none is lost: acks=all, idempotent, with a deadline a call. */
import { CompressionTypes, Partitioners, type Message, type Producer } from 'kafkajs';
import type { SaleEvent, TopicName } from '@flashsale/sale';
import { withDeadline } from './deadline.ts';
import type { KafkaContext } from './kafka-connect.ts';
import { connectKafka, persist } from './kafka-connect.ts';
import { encodeEvent } from './kafka-record.ts';
import type { Part } from './run.ts';

export interface TopicRecords {
  readonly topic: string;
  readonly messages: Message[];
}

export interface RecordProducer extends Part {
  /**
   * In order for each topic and key, in as many requests as it takes. Resolves when all replicas in sync have all of
   * it; a failed call may have been carried out in part.
   */
  sendRecords(batches: readonly TopicRecords[]): Promise<void>;
}

export interface EventProducer extends RecordProducer {
  /** Writes the events, in order for each id. A call that failed may have been carried out in part. */
  send(topic: TopicName, events: readonly SaleEvent[]): Promise<void>;
}

const SEND_DEADLINE_MS = 15_000;
const START_BOUND_MS = 60_000;
const STOP_DEADLINE_MS = 5_000;
/** Calls under way at one time; more are refused, so that a dead Kafka cannot fill the memory. */
const MAX_CALLS = 1_000;

/**
 * Most bytes of one topic in one request. kafkajs makes one record batch a partition of what it is given, and a broker
 * refuses a batch above `message.max.bytes` (1 MiB unless set) for good: a backlog must go in pieces.
 */
const MAX_BYTES = 800_000;
/** What a record takes beside its texts, at most: lengths, offset and time, and the names of our headers. */
const RECORD_BYTES = 256;

function bytesOf({ key, value, headers }: Message): number {
  let bytes = RECORD_BYTES + lengthOf(key) + lengthOf(value);
  for (const header of Object.values(headers ?? {}))
    bytes += [header].flat().reduce((sum, one) => sum + lengthOf(one), 0);
  return bytes;
}

function lengthOf(text: string | Buffer | null | undefined): number {
  return text === null || text === undefined ? 0 : Buffer.byteLength(text);
}

/** The first messages that fit into one request, at least one. */
function firstPiece(messages: readonly Message[]): Message[] {
  let bytes = 0;
  const end = messages.findIndex((message, i) => (bytes += bytesOf(message)) > MAX_BYTES && i > 0);
  return messages.slice(0, end < 0 ? messages.length : end);
}

interface Connection {
  readonly producer: Producer;
  /** Pending until the connection is made and its producer id is known. */
  readonly connected: Promise<void>;
  readonly calls: Set<Promise<unknown>>;
}

export function createProducer(context: KafkaContext): EventProducer {
  let current: Connection | undefined;
  let connected = false;
  let calls = 0;

  function open(): Connection {
    const producer = connectKafka(context).producer({
      idempotent: true,
      allowAutoTopicCreation: false,
      createPartitioner: Partitioners.DefaultPartitioner,
      retry: { initialRetryTime: 100, maxRetryTime: 1_000, retries: 12 },
    });
    const connection = { producer, connected: producer.connect(), calls: new Set<Promise<unknown>>() };
    connection.connected.then(
      () => (connected = current === connection),
      () => discard(connection),
    );
    return connection;
  }

  /**
   * After a failure the sequence numbers of this producer id may be out of step with the broker's for good,
   * so the next call starts with a new id. The old connection ends when its last call has given up.
   */
  function discard(connection: Connection): void {
    if (current !== connection) return;
    current = undefined;
    connected = false;
    void close(connection).catch((error: unknown) => context.log.debug({ err: error }, 'closing a failed producer'));
  }

  async function close(connection: Connection): Promise<void> {
    await Promise.allSettled([connection.connected, ...connection.calls]);
    await connection.producer.disconnect();
  }

  /** Piece by piece, until all is there or the call was given up. */
  async function deliver(connection: Connection, batches: readonly TopicRecords[]): Promise<void> {
    await connection.connected;
    let left = batches;
    while (left.length > 0) {
      const pieces = left.map(({ topic, messages }) => ({ topic, messages: firstPiece(messages) }));
      await request(connection, pieces);
      left = left
        .map(({ topic, messages }, i) => ({ topic, messages: messages.slice(pieces[i]?.messages.length) }))
        .filter(({ messages }) => messages.length > 0);
      if (left.length > 0 && current !== connection) throw new Error('the producer was closed, or gave this send up');
    }
  }

  async function request(connection: Connection, topicMessages: TopicRecords[]): Promise<void> {
    const call = connection.producer.sendBatch({ acks: -1, compression: CompressionTypes.None, topicMessages });
    connection.calls.add(call);
    try {
      await call;
    } finally {
      connection.calls.delete(call);
    }
  }

  async function sendRecords(batches: readonly TopicRecords[]): Promise<void> {
    const filled = batches.filter(({ messages }) => messages.length > 0);
    if (filled.length === 0) return;
    if (calls >= MAX_CALLS) throw new Error(`Kafka is too slow: ${MAX_CALLS} sends are under way`);
    calls++;
    const connection = (current ??= open());
    try {
      await withDeadline('a send to Kafka', SEND_DEADLINE_MS, deliver(connection, filled));
    } catch (error) {
      discard(connection);
      throw error;
    } finally {
      calls--;
    }
  }

  return {
    name: 'kafka-producer',
    sendRecords,
    send: (topic, events) => sendRecords([{ topic, messages: events.map(encodeEvent) }]),
    start: () => persist('connecting to Kafka', context, START_BOUND_MS, () => (current ??= open()).connected),
    ready: () => connected,
    async stop() {
      const last = current;
      current = undefined;
      connected = false;
      if (last) await withDeadline('closing the producer', STOP_DEADLINE_MS, close(last));
    },
  };
}
