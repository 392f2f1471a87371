/** Where records go that could not be handled: three retry topics with growing delays, then the dead letters. */
import type { IHeaders, KafkaMessage, Message } from 'kafkajs';
import type { TopicRecords } from './kafka-producer.ts';
import { HEADERS, headerText, type Origin } from './kafka-record.ts';
import { deadLetterTopic, retryTopic, type RetryStep } from './kafka-topics.ts';

export interface Failure {
  readonly message: KafkaMessage;
  readonly origin: Origin;
  readonly error: unknown;
  /** True: no later attempt can succeed. */
  readonly hopeless: boolean;
}

/** Longer errors are cut, so that no record outgrows the broker's limit. */
const MAX_ERROR_LENGTH = 500;

const describe = (error: unknown): string =>
  (error instanceof Error ? `${error.name}: ${error.message}` : String(error)).slice(0, MAX_ERROR_LENGTH);

function headersOf({ message, origin, error }: Failure, attempts: number): IHeaders {
  const correlationId = headerText(message.headers, HEADERS.correlationId);
  return {
    ...(correlationId === undefined ? {} : { [HEADERS.correlationId]: correlationId }),
    [HEADERS.topic]: origin.topic,
    [HEADERS.partition]: String(origin.partition),
    [HEADERS.offset]: origin.offset,
    [HEADERS.attempts]: String(attempts),
    [HEADERS.error]: describe(error),
  };
}

/** The records to write for these failures, a batch for each topic. The value stays byte for byte what it was. */
export function failedRecords(
  group: string,
  failures: readonly Failure[],
  now: number,
  steps: readonly RetryStep[],
): TopicRecords[] {
  const batches = new Map<string, Message[]>();
  for (const failure of failures) {
    const { origin, message } = failure;
    const step = failure.hopeless ? undefined : steps[origin.attempts];
    const topic = step ? retryTopic(origin.topic, group, step) : deadLetterTopic(origin.topic, group);
    const headers = headersOf(failure, origin.attempts + 1);
    if (step) headers[HEADERS.due] = String(now + step.delayMs);
    const batch = batches.get(topic) ?? [];
    batch.push({ key: message.key, value: message.value, headers });
    batches.set(topic, batch);
  }
  return [...batches].map(([topic, messages]) => ({ topic, messages }));
}

/** Unix ms from which a record may be handled; 0 for one that was never put off. */
export function dueAt(message: KafkaMessage): number {
  return Number(headerText(message.headers, HEADERS.due) ?? 0);
}

/** A dead letter as a fresh record of its topic: its history is dropped, so that it has all attempts again. */
export function revive(message: KafkaMessage): Message {
  const correlationId = headerText(message.headers, HEADERS.correlationId);
  return {
    key: message.key,
    value: message.value,
    headers: correlationId === undefined ? {} : { [HEADERS.correlationId]: correlationId },
  };
}
