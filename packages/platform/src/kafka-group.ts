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
  /** Leaves the rest of the partition alone for so many ms; it is read again after that. Call it last. */
  pause(ms: number): void;
}

export interface GroupOptions {
  readonly group: string;
  readonly topics: readonly string[];
  /** Records that are not yet done when it returns come again, at once unless it paused. */
  handle(slice: Slice): Promise<void>;
}

/** Without a heartbeat for so long a member is taken for dead, and its partitions go to others. */
const SESSION_MS = 10_000;
const HEARTBEAT_MS = 2_000;
const REBALANCE_MS = 30_000;
/** How long a fetch waits for records; also how long a stop may wait, and the most that a resume is late. */
const FETCH_WAIT_MS = 500;
/** Partitions whose handlers may run at the same time. */
const PARALLEL = 4;
const START_BOUND_MS = 60_000;
const STOP_DEADLINE_MS = 15_000;

export class GroupMember implements Part {
  readonly name: string;
  readonly #context: KafkaContext;
  readonly #options: GroupOptions;
  readonly #resumes = new Set<NodeJS.Timeout>();
  #consumer: Consumer | undefined;
  #joined = false;
  /** Fulfilled when the group was joined for the first time, or none is any more. */
  readonly #first = Promise.withResolvers<undefined>();
  #stopping = false;
  #crashes = 0;
  #restart: NodeJS.Timeout | undefined;

  constructor(context: KafkaContext, options: GroupOptions) {
    this.#context = context;
    this.#options = options;
    this.name = `kafka-group-${options.group}`;
  }

  /** Joins the group; waits up to a minute for Kafka to come up. */
  async start(): Promise<void> {
    const what = `joining group ${this.#options.group}`;
    await persist(what, this.#context, START_BOUND_MS, () => this.#join());
    // Where the first attempt was refused, as by a coordinator that is not ready yet, kafkajs tries again by itself.
    await withDeadline(what, START_BOUND_MS, this.#first.promise);
  }

  ready(): boolean {
    return this.#joined;
  }

  /** Finishes the calls under way, commits, and leaves, so that others get the partitions at once. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#joined = false;
    this.#first.resolve(undefined);
    clearTimeout(this.#restart);
    for (const timer of this.#resumes) clearTimeout(timer);
    const consumer = this.#consumer;
    this.#consumer = undefined;
    if (consumer) await withDeadline(`leaving ${this.name}`, STOP_DEADLINE_MS, consumer.disconnect());
  }

  async #join(): Promise<void> {
    const consumer = connectKafka(this.#context).consumer({
      groupId: this.#options.group,
      sessionTimeout: SESSION_MS,
      heartbeatInterval: HEARTBEAT_MS,
      rebalanceTimeout: REBALANCE_MS,
      maxWaitTimeInMs: FETCH_WAIT_MS,
      allowAutoTopicCreation: false,
      retry: { initialRetryTime: 100, maxRetryTime: 1_000, retries: 8 },
    });
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      this.#joined = !this.#stopping;
      this.#first.resolve(undefined);
      const assignment = payload.memberAssignment;
      this.#context.log.info({ group: this.#options.group, assignment }, 'joined the consumer group');
    });
    consumer.on(consumer.events.CRASH, ({ payload }) => {
      this.#joined = false;
      // With `restart` kafkajs joins again by itself.
      if (!payload.restart) this.#replace(consumer, payload.error);
    });
    try {
      await consumer.connect();
      await consumer.subscribe({ topics: [...this.#options.topics], fromBeginning: true });
      if (this.#stopping) throw new Error('stopped while joining');
      this.#consumer = consumer;
      await consumer.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        partitionsConsumedConcurrently: PARALLEL,
        eachBatch: (payload) => this.#eachBatch(payload),
      });
    } catch (error) {
      await consumer.disconnect();
      throw error;
    }
  }

  /** kafkajs has given this consumer up: a new one takes its place, after a pause that grows with each crash. */
  #replace(dead: Consumer, error: unknown): void {
    if (this.#stopping || this.#consumer !== dead) return;
    const wait = backoff(++this.#crashes);
    this.#context.log.error({ err: error, group: this.#options.group, wait }, 'the consumer crashed; a new one joins');
    this.#restart = setTimeout(() => {
      void dead.disconnect().catch(() => undefined);
      this.#join().catch((cause: unknown) => {
        // Where it got as far as to run, its own crash event has seen to it.
        this.#replace(dead, cause);
      });
    }, wait);
  }

  async #eachBatch(payload: EachBatchPayload): Promise<void> {
    const { topic, partition, messages } = payload.batch;
    // A rebalance shows here as an error; kafkajs meets it again after the batch and joins anew.
    const beat = setInterval(() => void payload.heartbeat().catch(() => undefined), HEARTBEAT_MS);
    try {
      await this.#options.handle({
        topic,
        partition,
        messages,
        active: () => payload.isRunning() && !payload.isStale() && !this.#stopping,
        done: (last) => this.#commit(payload, last),
        pause: (ms) => this.#pause(payload, ms),
      });
    } finally {
      clearInterval(beat);
    }
  }

  async #commit(payload: EachBatchPayload, last: KafkaMessage): Promise<void> {
    const { topic, partition } = payload.batch;
    payload.resolveOffset(last.offset);
    const offset = String(BigInt(last.offset) + 1n);
    // Not consumer.commitOffsets(): that one does nothing once the consumer is stopping.
    await payload.commitOffsetsIfNecessary({ topics: [{ topic, partitions: [{ partition, offset }] }] });
    this.#crashes = 0;
  }

  #pause(payload: EachBatchPayload, ms: number): void {
    // Nothing is fetched any more, and a timer would keep the process from ending.
    if (this.#stopping) return;
    const resume = payload.pause();
    const timer = setTimeout(() => {
      this.#resumes.delete(timer);
      resume();
    }, ms);
    this.#resumes.add(timer);
  }
}
