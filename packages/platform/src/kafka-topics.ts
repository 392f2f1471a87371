/** Names and creation of topics: the sale's own, the retry steps and the dead letters of each consumer group. */
import type { KafkaContext } from './kafka-connect.ts';
import { connectKafka, persist } from './kafka-connect.ts';

export interface RetryStep {
  readonly label: string;
  readonly delayMs: number;
}

/** A record that failed waits for each of these in turn, then it is a dead letter. */
export const RETRY_STEPS: readonly RetryStep[] = [
  { label: '5s', delayMs: 5_000 },
  { label: '1m', delayMs: 60_000 },
  { label: '10m', delayMs: 600_000 },
];

export const retryTopic = (topic: string, group: string, step: RetryStep): string =>
  `${topic}.${group}.retry.${step.label}`;
/** A group of its own, so that what waits does not count as lag of the group that is scaled on it. */
export const retryGroup = (group: string): string => `${group}.retry`;
export const deadLetterTopic = (topic: string, group: string): string => `${topic}.${group}.dlq`;

export interface TopicPlan {
  readonly topic: string;
  readonly partitions: number;
}

/** Every topic a consumer group needs to read `topic`. Failures are few, so their topics have fewer partitions. */
export function topicsOfGroup(topic: string, group: string, partitions: number, steps = RETRY_STEPS): TopicPlan[] {
  const few = Math.max(1, Math.floor(partitions / 4));
  return [
    { topic, partitions },
    ...steps.map((step) => ({ topic: retryTopic(topic, group, step), partitions: few })),
    { topic: deadLetterTopic(topic, group), partitions: 1 },
  ];
}

/** How long a start waits for Kafka to come up. */
const START_BOUND_MS = 60_000;

/** Creates the topics that are missing; those that exist stay as they are. Waits up to a minute for Kafka to come up. */
export async function createTopics(context: KafkaContext, plans: readonly TopicPlan[]): Promise<void> {
  const unique = new Map(plans.map((plan) => [plan.topic, plan]));
  await persist('creating the topics', context, START_BOUND_MS, () => createMissing(context, [...unique.values()]));
}

async function createMissing(context: KafkaContext, plans: readonly TopicPlan[]): Promise<void> {
  const admin = connectKafka(context).admin();
  try {
    await admin.connect();
    const present = new Set(await admin.listTopics());
    const missing = plans.filter((plan) => !present.has(plan.topic));
    if (missing.length === 0) return;
    // -1: the broker's default.replication.factor. Another process that creates the same at the same time is no error.
    await admin.createTopics({
      waitForLeaders: true,
      topics: missing.map(({ topic, partitions }) => ({ topic, numPartitions: partitions, replicationFactor: -1 })),
    });
    // A leader that is named may not serve yet; a consumer that meets that joins its group again and again.
    for (const { topic } of missing) {
      await persist(`waiting for ${topic}`, context, START_BOUND_MS, () => admin.fetchTopicOffsets(topic));
    }
  } finally {
    await admin.disconnect();
  }
}
