/** How every Kafka connection is made: time limits, bounded retries, and kafkajs's log lines in our log. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Kafka, logLevel, type LogEntry } from 'kafkajs';
import Connection from 'kafkajs/src/network/connection.js';
import RequestQueue from 'kafkajs/src/network/requestQueue/index.js';
import type { Logger } from './log.ts';

export interface KafkaContext {
  /** `host:port[,host:port]` */
  readonly brokers: string;
  readonly clientId: string;
  readonly log: Logger;
}

/** Said by kafkajs about a choice made on purpose: a bounded send, and duplicates that consumers recognise. */
const EXPECTED = /Limiting retries for the idempotent producer/;
const CONNECTING = new Set(['Connection', 'BrokerPool']);

/**
 * kafkajs sets a timer after every answer to look at its queue again, with a negative delay where nothing is
 * throttled: Node warns of that, and the timer does nothing where the queue is empty.
 */
function mendQueueTimer(): void {
  // eslint-disable-next-line @typescript-eslint/unbound-method -- called with its object below
  const schedule = RequestQueue.prototype.scheduleCheckPendingRequests;
  RequestQueue.prototype.scheduleCheckPendingRequests = function (this: RequestQueue) {
    if (this.pending.length > 0) schedule.call(this);
  };
}
mendQueueTimer();

/**
 * kafkajs gives up a request that has no answer in time, and goes on asking on the same connection: where nothing comes
 * through any more (a router forgot it), a consumer heard nothing for as long as TCP keeps trying. Such a connection is
 * cut; kafkajs then makes a new one.
 */
function mendDeadConnections(): void {
  // eslint-disable-next-line @typescript-eslint/unbound-method -- called with its object below
  const send = Connection.prototype.send;
  Connection.prototype.send = async function (this: Connection, request: unknown) {
    try {
      return await send.call(this, request);
    } catch (error) {
      if (error instanceof Error && error.name === 'KafkaJSRequestTimeoutError') this.socket?.destroy(error);
      throw error;
    }
  };
}
mendDeadConnections();

function writeLog(log: Logger, { namespace, log: { message, ...details } }: LogEntry): void {
  if (EXPECTED.test(message)) return;
  // Its errors are retried by kafkajs or by us; what is final reaches the caller as an exception. While Kafka is
  // away every attempt to connect fails: that is told once by those who wait for it.
  const level = CONNECTING.has(namespace) ? 'debug' : 'warn';
  const { broker, groupId, error } = details;
  log[level]({ kafkajs: namespace, broker, groupId, error }, message);
}

/**
 * A kafkajs client of its own for each producer, consumer and reader: consumers of one client share the
 * memory of committed offsets, so two members of one group in one process would read past each other.
 */
export function connectKafka(context: KafkaContext): Kafka {
  return new Kafka({
    clientId: context.clientId,
    brokers: brokerList(context),
    connectionTimeout: 3_000,
    requestTimeout: 10_000,
    retry: { initialRetryTime: 100, maxRetryTime: 1_000, retries: 5 },
    logLevel: logLevel.WARN,
    logCreator: () => (entry) => writeLog(context.log, entry),
  });
}

export function brokerList(context: KafkaContext): string[] {
  return context.brokers.split(',').map((broker) => broker.trim());
}

/** Milliseconds to wait before the attempt after `failures` failed ones: doubles from 100, at most 10 s, half of it random. */
export function backoff(failures: number): number {
  const most = Math.min(10_000, 100 * 2 ** Math.min(failures, 10));
  return most / 2 + Math.random() * (most / 2);
}

/** Repeats `work` until it succeeds, at most for `boundMs`; then throws its last error. */
export async function persist<T>(
  what: string,
  context: KafkaContext,
  boundMs: number,
  work: () => Promise<T>,
): Promise<T> {
  const end = Date.now() + boundMs;
  for (let failures = 1; ; failures++) {
    try {
      return await work();
    } catch (error) {
      const wait = backoff(failures);
      if (Date.now() + wait > end) throw error;
      // The first failures are what a start beside Kafka's own start looks like.
      context.log[failures > 3 ? 'warn' : 'debug']({ err: error, failures }, `${what} failed, trying again`);
      await sleep(wait);
    }
  }
}
