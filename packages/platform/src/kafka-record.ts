/** A sale event as a Kafka record, and back: JSON value, the event's id as key, correlation id as header. */
import type { IHeaders, KafkaMessage, Message } from 'kafkajs';
import type { SaleEvent } from '@flashsale/sale';

export const HEADERS = {
  correlationId: 'correlation-id',
  /** How often handling failed. */
  attempts: 'attempts',
  /** Why it failed the last time. */
  error: 'error',
  /** Unix ms before which a record of a retry topic is left alone. */
  due: 'due',
  topic: 'origin-topic',
  partition: 'origin-partition',
  offset: 'origin-offset',
} as const;

export function encodeEvent(event: SaleEvent): Message {
  return {
    key: event.id,
    value: JSON.stringify(event),
    headers: { [HEADERS.correlationId]: event.correlationId },
  };
}

const TEXTS = ['id', 'sale', 'sku', 'buyer', 'currency', 'correlationId'] as const;
const NUMBERS = ['quantity', 'amountMinor', 'epoch'] as const;
/** The times that each type of event carries, Unix ms. */
const TIMES: Readonly<Record<string, readonly string[]>> = {
  reserved: ['reservedAt', 'expiresAt'],
  paid: ['at'],
  refused: ['at'],
  expired: ['at'],
  refunded: ['at'],
  refund: ['at'],
};

function check(fields: Readonly<Record<string, unknown>>): string | undefined {
  const times = typeof fields['type'] === 'string' ? TIMES[fields['type']] : undefined;
  if (times === undefined) return 'type is unknown';
  const text = TEXTS.find((name) => typeof fields[name] !== 'string');
  if (text !== undefined) return `${text} is not a text`;
  const number = [...NUMBERS, ...times].find((name) => !Number.isFinite(fields[name]));
  return number === undefined ? undefined : `${number} is not a number`;
}

/** The event of a record. Throws an Error that says what is wrong where it holds none. */
export function decodeEvent(value: Buffer | null): SaleEvent {
  if (value === null) throw new Error('the record has no value');
  const parsed: unknown = JSON.parse(value.toString('utf8'));
  if (typeof parsed !== 'object' || parsed === null) throw new Error('the value is not an object');
  const problem = check(parsed as Record<string, unknown>);
  if (problem !== undefined) throw new Error(problem);
  return parsed as SaleEvent;
}

export function headerText(headers: IHeaders | undefined, name: string): string | undefined {
  const value = headers?.[name];
  const first = Array.isArray(value) ? value[0] : value;
  return first?.toString();
}

/** Where a record was first read, and how often it has failed since. */
export interface Origin {
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  readonly attempts: number;
}

/** A record of a retry or dead-letter topic names its origin in its headers; any other is its own. */
export function originOf(topic: string, partition: number, message: KafkaMessage): Origin {
  const from = headerText(message.headers, HEADERS.topic);
  if (from === undefined) return { topic, partition, offset: message.offset, attempts: 0 };
  return {
    topic: from,
    partition: Number(headerText(message.headers, HEADERS.partition) ?? -1),
    offset: headerText(message.headers, HEADERS.offset) ?? '-1',
    attempts: Number(headerText(message.headers, HEADERS.attempts) ?? 0),
  };
}
