/** What the Kafka tests share: events, topics of their own, and a consumer that notes what it was given. */
import { randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import type { PurchaseReserved, SaleEvent, TopicName } from '@flashsale/sale';
import { connectKafka, type KafkaContext } from './kafka-connect.ts';
import { HEADERS, headerText } from './kafka-record.ts';
import { readTopic } from './kafka-read.ts';
import { createLogger } from './log.ts';

export const contextOf = (brokers: string): KafkaContext => ({
  brokers,
  clientId: 'test',
  log: createLogger('test', process.env['LOG_LEVEL'] ?? 'silent'),
});

/** A topic of one test's own; the domain's type knows only the three real ones. */
export const ownTopic = (): TopicName => `test-${randomUUID()}` as TopicName;

export function reserved(n: number): PurchaseReserved {
  return {
    type: 'reserved',
    id: `sale.0.${String(n).padStart(22, '0')}`,
    sale: 'sale',
    sku: 'sku',
    quantity: 1,
    buyer: `buyer-${n}`,
    amountMinor: 100,
    currency: 'EUR',
    epoch: 1,
    correlationId: `correlation-${n}`,
    reservedAt: 1_000,
    expiresAt: 2_000,
  };
}

export const many = (count: number, from = 0): PurchaseReserved[] =>
  Array.from({ length: count }, (_, i) => reserved(from + i));

export const idsOf = (events: Iterable<SaleEvent>): string[] => [...events].map((event) => event.id);

/** Notes calls, and waits for a condition on them. */
export class Notes {
  readonly calls: { readonly events: readonly SaleEvent[]; readonly at: number }[] = [];
  readonly #changes = new EventEmitter();

  add(events: readonly SaleEvent[]): void {
    this.calls.push({ events, at: Date.now() });
    this.#changes.emit('call');
  }
  events(): SaleEvent[] {
    return this.calls.flatMap(({ events }) => events);
  }
  /** Rejects after `ms`, so that a lost event fails the test and does not hang it. */
  async until(condition: (notes: this) => boolean, ms = 30_000): Promise<void> {
    const signal = AbortSignal.timeout(ms);
    while (!condition(this)) await once(this.#changes, 'call', { signal });
  }
}

export interface PlainRecord {
  readonly key: string;
  readonly value: string;
  /** Those of ours; empty where absent. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Every record of a topic, as text. */
export async function recordsOf(context: KafkaContext, topic: string): Promise<PlainRecord[]> {
  const records: PlainRecord[] = [];
  for await (const { messages } of readTopic(context, topic)) {
    for (const { key, value, headers } of messages) {
      const texts = Object.values(HEADERS).map((name) => [name, headerText(headers, name) ?? ''] as const);
      records.push({ key: String(key), value: String(value), headers: Object.fromEntries(texts) });
    }
  }
  return records;
}

/** Writes one record as it is. */
export async function sendRaw(context: KafkaContext, topic: string, value: string): Promise<void> {
  const producer = connectKafka(context).producer({ allowAutoTopicCreation: false, createPartitioner: () => () => 0 });
  await producer.connect();
  await producer.send({ topic, messages: [{ key: 'raw', value }] });
  await producer.disconnect();
}
