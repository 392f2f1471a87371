/** Faults of what is in the log and of who reads it: replays, poison, consumers that come and go, and a crowd at one instant. */
import { urlOf } from '@flashsale/local/commands/crowd';
import { eventually } from '@flashsale/local/e2e/test-platform';
import { seededRandom } from '@flashsale/local/rush/random';
import { internalClient } from '@flashsale/platform/http';
import { createKafka, type EventProducer, type KafkaClient } from '@flashsale/platform/kafka';
import { createLogger } from '@flashsale/platform/log';
import { TOPICS, type SaleEvent, type TopicName } from '@flashsale/sale';
import type { Fault } from './fault.ts';
import type { Ground } from './ground.ts';

const SCALED_MS = 120_000;
const AT_ONCE = 1_000;
const SHUFFLE_SEED = 1;

async function withKafka(
  ground: Ground,
  work: (kafka: KafkaClient, producer: EventProducer) => Promise<void>,
): Promise<void> {
  const brokers = ground.platform.running.kafkaBrokers;
  const kafka = createKafka({ brokers, clientId: 'chaos', log: createLogger('chaos', 'silent') });
  const producer = kafka.producer();
  try {
    await producer.start?.();
    await work(kafka, producer);
  } finally {
    await producer.stop?.();
  }
}

async function readAll(kafka: KafkaClient, topic: TopicName): Promise<SaleEvent[]> {
  const log = kafka.log();
  const events: SaleEvent[] = [];
  try {
    await log.start?.();
    for await (const event of log.readAll(topic)) events.push(event);
  } finally {
    await log.stop?.();
  }
  return events;
}

function shuffle(events: SaleEvent[]): void {
  const random = seededRandom(SHUFFLE_SEED);
  for (let i = events.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [events[i], events[j]] = [events[j] as SaleEvent, events[i] as SaleEvent];
  }
}

/** Every event of both topics is written again, twice, in another order, among those of the rush. */
const REPLAY: Fault = {
  name: 'log: both topics replayed twice, shuffled into themselves',
  lastsMs: 0,
  async strike(ground) {
    await withKafka(ground, async (kafka, producer) => {
      for (const topic of [TOPICS.purchases, TOPICS.payments]) {
        const events = await readAll(kafka, topic);
        const twice = [...events, ...events];
        shuffle(twice);
        for (let from = 0; from < twice.length; from += AT_ONCE)
          await producer.send(topic, twice.slice(from, from + AT_ONCE));
      }
    });
    return () => Promise.resolve();
  },
};

const POISON = ['', 'not JSON', '{}', '{"type":"reserved"}', 'null', '[1]', '\u0000\uFFFF'];

/** In every partition, so that every consumer meets it before the purchases that come after. */
const POISONED: Fault = {
  name: 'log: poison in every partition of both topics',
  lastsMs: 0,
  async strike(ground) {
    await withKafka(ground, async (kafka, producer) => {
      for (const topic of [TOPICS.purchases, TOPICS.payments]) {
        const partitions = await partitionsOf(kafka, topic);
        const messages = partitions.flatMap((partition) =>
          [...POISON, null].map((value) => ({ partition, key: 'poison', value })),
        );
        await producer.sendRecords([{ topic, messages }]);
      }
    });
    return () => Promise.resolve();
  },
};

async function partitionsOf(kafka: KafkaClient, topic: string): Promise<number[]> {
  const log = kafka.log();
  try {
    await log.start?.();
    return (await log.offsets(topic, 'chaos')).map(({ partition }) => partition);
  } finally {
    await log.stop?.();
  }
}

interface Replicas {
  readonly desired: number;
  readonly ready: number;
}

/** Resolves when so many are ready and no others are left. */
async function scale({ platform }: Ground, replicas: number): Promise<void> {
  const supervisor = internalClient(urlOf(platform.running, 'SUPERVISOR_URL'), 10_000);
  const path = '/workloads/Deployment/payments';
  await supervisor.text('PUT', path, { replicas });
  await eventually(`${replicas} payments`, SCALED_MS, async () => {
    const { desired, ready } = await supervisor.json<Replicas>('GET', path);
    return desired === replicas && ready === replicas ? true : undefined;
  });
}

/** Each change makes the consumers divide the partitions anew, with purchases under way. */
const SCALED: Fault = {
  name: 'payments: 5, 15, 5 consumers',
  lastsMs: 0,
  // Starting ten processes takes longer than a small crowd.
  crowd: { buyers: 6_000, stock: 1_500, concurrency: 24 },
  async prepare(ground) {
    await scale(ground, 5);
    return () => scale(ground, 1);
  },
  async strike(ground) {
    await scale(ground, 15);
    return () => scale(ground, 5);
  },
};

const AT_ONE_INSTANT: Fault = {
  name: 'crowd: 10,000 concurrent purchases',
  lastsMs: 0,
  crowd: { buyers: 10_000, stock: 2_500, concurrency: 10_000 },
  strike: () => Promise.resolve(() => Promise.resolve()),
};

export const LOG_FAULTS: readonly Fault[] = [REPLAY, POISONED, SCALED, AT_ONE_INSTANT];
