/** One member of a consumer group, kept alive: it joins again after every crash, and leaves after the work under way. */
import type { Consumer, EachBatchPayload, KafkaMessage } from 'kafkajs';
import { withDeadline } from './deadline.ts';
import { backoff, connectKafka, persist, type KafkaContext } from './kafka-connect.ts';
import type { Part } from './run.ts';

/** Records of one partition, in order. Nothing else of that partition is handed out until the handler returns. */
export interface Slice {
  readonly topic: string;
  readonly partition: number;
  readonly messages: readonly KafkaMessage[];
  /** False when the member is stopping: return after the work under way. */
  active(): boolean;
  /** Commits everything up to this record. */
  done(last: KafkaMessage): Promise<void>;
  /** Leaves the rest of the partition alone for so long; it is read again after that. Call it last. */
  pause(ms: number): void;
}

export interface GroupOptions {
  readonly group: string;
  readonly topics: readonly string[];
  /** Where it throws, the records not yet done come again. */
  handle(slice: Slice): Promise<void>;
}

/** Without a heartbeat for so long a member is taken for dead, and its partitions go to others. */
const SESSION_MS = 10_000;
const HEARTBEAT_MS = 2_000;
/** How long a fetch waits for records; also how long a stop may wait, and the most that a resume is late. */
const FETCH_WAIT_MS = 500;
/** Partitions whose handlers may run at the same time. */
const PARALLEL = 4;
const START_BOUND_MS = 60_000;
const STOP_DEADLINE_MS = 30_000;

export function createGroup(context: KafkaContext, options: GroupOptions): Part {
  const { log } = context;
  const name = `kafka-group-${options.group}`;
  let consumer: Consumer | undefined;
  let joined = false;
  let stopping = false;
  let crashes = 0;
  let restart: NodeJS.Timeout | undefined;
  const resumes = new Set<NodeJS.Timeout>();

  function pause(slice: EachBatchPayload, ms: number): void {
    const resume = slice.pause();
    const timer = setTimeout(() => {
      resumes.delete(timer);
      resume();
    }, ms);
    resumes.add(timer);
  }

  async function eachBatch(payload: EachBatchPayload): Promise<void> {
    const { topic, partition, messages } = payload.batch;
    // A rebalance shows here as an error; kafkajs meets it again after the batch and joins anew.
    const beat = setInterval(() => void payload.heartbeat().catch(() => undefined), HEARTBEAT_MS);
    try {
      await options.handle({
        topic,
        partition,
        messages,
        active: () => payload.isRunning() && !payload.isStale() && !stopping,
        async done(last) {
          payload.resolveOffset(last.offset);
          const offset = String(BigInt(last.offset) + 1n);
          await payload.commitOffsetsIfNecessary({ topics: [{ topic, partitions: [{ partition, offset }] }] });
          crashes = 0;
        },
        pause: (ms) => pause(payload, ms),
      });
    } finally {
      clearInterval(beat);
    }
  }

  function crashed(dead: Consumer, error: Error): void {
    if (stopping || consumer !== dead) return;
    const wait = backoff(++crashes);
    log.error({ err: error, group: options.group, wait }, 'the consumer crashed for good; a new one will join');
    restart = setTimeout(() => {
      void dead.disconnect().catch(() => undefined);
      join().catch((cause: unknown) => crashed(dead, cause as Error));
    }, wait);
  }

  async function join(): Promise<void> {
    const member = connectKafka(context).consumer({
      groupId: options.group,
      sessionTimeout: SESSION_MS,
      heartbeatInterval: HEARTBEAT_MS,
      rebalanceTimeout: 30_000,
      maxWaitTimeInMs: FETCH_WAIT_MS,
      maxBytesPerPartition: 1_048_576,
      allowAutoTopicCreation: false,
      retry: { initialRetryTime: 100, maxRetryTime: 1_000, retries: 8 },
    });
    member.on(member.events.GROUP_JOIN, ({ payload }) => {
      joined = true;
      log.info({ group: options.group, assignment: payload.memberAssignment }, 'joined the consumer group');
    });
    member.on(member.events.CRASH, ({ payload }) => {
      joined = false;
      // With `restart` kafkajs joins again by itself.
      if (!payload.restart) crashed(member, payload.error);
    });
    try {
      await member.connect();
      await member.subscribe({ topics: [...options.topics], fromBeginning: true });
      consumer = member;
      await member.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        partitionsConsumedConcurrently: PARALLEL,
        eachBatch,
      });
    } catch (error) {
      await member.disconnect();
      throw error;
    }
  }

  async function leave(): Promise<void> {
    stopping = true;
    joined = false;
    clearTimeout(restart);
    for (const timer of resumes) clearTimeout(timer);
    const last = consumer;
    consumer = undefined;
    if (last) await withDeadline(`leaving group ${options.group}`, STOP_DEADLINE_MS, last.disconnect());
  }

  return {
    name,
    start: () => persist(`joining group ${options.group}`, context, START_BOUND_MS, join),
    ready: () => joined,
    drain: leave,
    stop: leave,
  };
}
