/** A member of a group outlives errors that kafkajs gives up on, and leaves alone what it paused. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, test, type TestContext } from 'node:test';
import { testKafka } from '@flashsale/local/testing';
import kafkajs from 'kafkajs';
import type { TopicName } from '@flashsale/sale';
import type { KafkaContext } from './kafka-connect.ts';
import { contextOf, idsOf, many, Notes, ownTopic } from './kafka-fixtures.ts';
import { GroupMember, type Slice } from './kafka-group.ts';
import { createProducer } from './kafka-producer.ts';
import { decodeEvent } from './kafka-record.ts';
import { createTopics } from './kafka-topics.ts';

let context: KafkaContext;
before(async () => {
  context = contextOf(await testKafka());
});

/** A topic of one partition with `count` events. */
async function filledTopic(t: TestContext, count: number): Promise<TopicName> {
  const topic = ownTopic();
  await createTopics(context, [{ topic, partitions: 1 }]);
  const producer = createProducer(context);
  t.after(() => producer.stop?.());
  await producer.send(topic, many(count));
  return topic;
}

const eventsOf = (slice: Slice) => slice.messages.map(({ value }) => decodeEvent(value));

for (const [what, error] of [
  ['that kafkajs retries', new Error('anything')],
  ['that kafkajs gives up on', new kafkajs.KafkaJSNonRetriableError('anything')],
] as const) {
  test(`after an error ${what} the records come again`, async (t) => {
    const [topic, notes] = [await filledTopic(t, 10), new Notes()];
    let throws = 2;
    const member = new GroupMember(context, {
      group: randomUUID(),
      topics: [topic],
      async handle(slice) {
        if (throws-- > 0) throw error;
        notes.add(eventsOf(slice));
        for (const message of slice.messages) await slice.done(message);
      },
    });
    t.after(() => member.stop());
    await member.start();
    await notes.until((n) => n.events().length >= 10);
    assert.deepEqual(idsOf(notes.events()), idsOf(many(10)));
    assert.equal(member.ready(), true);
  });
}

test('a paused partition goes on after the pause, where it stood', async (t) => {
  const [topic, notes] = [await filledTopic(t, 10), new Notes()];
  const member = new GroupMember(context, {
    group: randomUUID(),
    topics: [topic],
    async handle(slice) {
      notes.add(eventsOf(slice).slice(0, 1));
      const [first] = slice.messages;
      if (first) await slice.done(first);
      slice.pause(notes.calls.length === 1 ? 1_000 : 1);
    },
  });
  t.after(() => member.stop());
  await member.start();
  await notes.until((n) => n.calls.length >= 3);
  assert.deepEqual(idsOf(notes.events().slice(0, 3)), idsOf(many(3)));
  assert.ok(Number(notes.calls[1]?.at) - Number(notes.calls[0]?.at) >= 990);
});
