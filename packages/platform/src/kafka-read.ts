/** Reads a topic up to where it ends now, without a consumer group: nobody's offsets or assignments are touched. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { KafkaMessage } from 'kafkajs';
import Cluster from 'kafkajs/src/cluster/index.js';
import socketFactory from 'kafkajs/src/network/socketFactory.js';
import { withDeadline } from './deadline.ts';
import { backoff, brokerList, connectKafka, persist, type KafkaContext } from './kafka-connect.ts';

/** Records of one partition, in order. */
export interface Page {
  readonly partition: number;
  readonly messages: readonly KafkaMessage[];
}

interface Range {
  readonly partition: number;
  readonly start: bigint;
  /** The offset after the last record to read. */
  readonly end: bigint;
}

const CALL_DEADLINE_MS = 10_000;
const PAGE_BYTES = 1_048_576;
/** Failed fetches in a row (a restart of Kafka takes a few) after which reading gives up. */
const MAX_FAILURES = 8;
const READ_COMMITTED = 1;

function createCluster(context: KafkaContext): Cluster {
  return new Cluster({
    logger: connectKafka(context).logger(),
    retry: { initialRetryTime: 100, maxRetryTime: 1_000, retries: 5 },
    socketFactory: socketFactory(),
    brokers: brokerList(context),
    clientId: context.clientId,
    connectionTimeout: 3_000,
    requestTimeout: CALL_DEADLINE_MS,
    enforceRequestTimeout: true,
    metadataMaxAge: 300_000,
    allowAutoTopicCreation: false,
    isolationLevel: READ_COMMITTED,
  });
}

async function edges(cluster: Cluster, topic: string, fromBeginning: boolean): Promise<Map<number, bigint>> {
  const partitions = cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => ({ partition: partitionId }));
  const answer = await withDeadline(
    'reading the ends of a topic',
    CALL_DEADLINE_MS,
    cluster.fetchTopicsOffset([{ topic, partitions, fromBeginning }]),
  );
  return new Map(answer.flatMap((entry) => entry.partitions).map((p) => [p.partition, BigInt(p.offset)]));
}

async function ranges(cluster: Cluster, topic: string, from: ReadonlyMap<number, bigint>): Promise<Range[]> {
  const [starts, ends] = [await edges(cluster, topic, true), await edges(cluster, topic, false)];
  return [...ends].map(([partition, end]) => {
    const first = starts.get(partition) ?? 0n;
    const wanted = from.get(partition) ?? first;
    return { partition, start: wanted > first ? wanted : first, end };
  });
}

interface Fetched {
  readonly messages: readonly KafkaMessage[];
  /** Where to read on. */
  readonly next: bigint;
}

async function fetchPage(cluster: Cluster, topic: string, range: Range, position: bigint): Promise<Fetched> {
  const leader = cluster.findTopicPartitionMetadata(topic).find((p) => p.partitionId === range.partition)?.leader;
  if (leader === undefined) throw new Error(`partition ${range.partition} of ${topic} has no leader`);
  const broker = await cluster.findBroker({ nodeId: leader });
  const { responses } = await broker.fetch({
    maxWaitTime: 500,
    minBytes: 1,
    maxBytes: PAGE_BYTES,
    isolationLevel: READ_COMMITTED,
    topics: [
      { topic, partitions: [{ partition: range.partition, fetchOffset: String(position), maxBytes: PAGE_BYTES }] },
    ],
  });
  const answer = responses[0]?.partitions[0];
  if (!answer) throw new Error(`the broker left partition ${range.partition} of ${topic} out of its answer`);
  const last = answer.messages.at(-1);
  if (last) {
    const inside = answer.messages.filter(({ offset, isControlRecord }) => {
      const at = BigInt(offset);
      return at >= position && at < range.end && isControlRecord !== true;
    });
    return { messages: inside, next: BigInt(last.offset) + 1n };
  }
  // Nothing up to the broker's own end: what was there has been compacted or deleted. Below it: not served yet.
  return { messages: [], next: BigInt(answer.highWatermark) >= range.end ? range.end : position };
}

async function* readRange(cluster: Cluster, topic: string, range: Range): AsyncGenerator<Page> {
  let position = range.start;
  let failures = 0;
  while (position < range.end) {
    let page: Fetched;
    try {
      page = await withDeadline('a fetch from Kafka', CALL_DEADLINE_MS, fetchPage(cluster, topic, range, position));
      if (page.next <= position) throw new Error(`Kafka does not serve offset ${position} of ${topic}`);
    } catch (error) {
      if (++failures >= MAX_FAILURES) throw error;
      await sleep(backoff(failures));
      // Without it a restarted broker is asked on its closed connection again. Where it fails, so does the next fetch.
      await cluster.refreshMetadata().catch(() => undefined);
      continue;
    }
    failures = 0;
    position = page.next;
    if (page.messages.length > 0) yield { partition: range.partition, messages: page.messages };
  }
}

/** A topic that was created a moment ago, or a broker that has just come back, may not serve at once. */
const OPEN_BOUND_MS = 20_000;

async function openRanges(cluster: Cluster, topic: string, from: ReadonlyMap<number, bigint>): Promise<Range[]> {
  await withDeadline('connecting to Kafka', CALL_DEADLINE_MS, cluster.connect());
  await withDeadline('finding a topic', CALL_DEADLINE_MS, cluster.addTargetTopic(topic));
  await withDeadline('finding a topic', CALL_DEADLINE_MS, cluster.refreshMetadata());
  return ranges(cluster, topic, from);
}

/** Reads each partition from `from` (else its beginning) to its end at the time of the call; ends by itself. */
export async function* readTopic(
  context: KafkaContext,
  topic: string,
  from: ReadonlyMap<number, bigint> = new Map(),
): AsyncGenerator<Page> {
  const cluster = createCluster(context);
  try {
    const found = await persist(`opening ${topic}`, context, OPEN_BOUND_MS, () => openRanges(cluster, topic, from));
    for (const range of found) yield* readRange(cluster, topic, range);
  } finally {
    await cluster.disconnect();
  }
}

/** Commits offsets of a group that has no members; the group is made where it is missing. */
export async function commitOffset(
  context: KafkaContext,
  group: string,
  topic: string,
  at: { readonly partition: number; readonly offset: bigint },
): Promise<void> {
  const cluster = createCluster(context);
  const commit = async (): Promise<void> => {
    await cluster.connect();
    const coordinator = await cluster.findGroupCoordinator({ groupId: group });
    const partitions = [{ partition: at.partition, offset: String(at.offset) }];
    const topics = [{ topic, partitions }];
    await coordinator.offsetCommit({ groupId: group, groupGenerationId: -1, memberId: '', topics });
  };
  try {
    await persist('committing an offset', context, OPEN_BOUND_MS, () =>
      withDeadline('committing an offset', CALL_DEADLINE_MS, commit()),
    );
  } finally {
    await cluster.disconnect();
  }
}
