/** Kafka behind our port, against a real broker: nothing lost, nothing skipped, one bad event harms no other. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { testKafka } from '@flashsale/local/testing';
import type { PurchaseLog, SaleEvent } from '@flashsale/sale';
import { connectKafka, type KafkaContext } from './kafka-connect.ts';
import { createConsumer } from './kafka-consumer.ts';
import { contextOf, idsOf, many, Notes, ownTopic, recordsOf, reserved, sendRaw } from './kafka-fixtures.ts';
import { HEADERS } from './kafka-record.ts';
import { createTopics, deadLetterTopic, retryTopic } from './kafka-topics.ts';
import { createKafka, type EventProducer, type KafkaClient } from './kafka.ts';
import type { Part } from './run.ts';

let context: KafkaContext;
let log: PurchaseLog & Part;
let kafka: KafkaClient;
let producer: EventProducer;
const open: Part[] = [];

before(async () => {
  context = contextOf(await testKafka());
  kafka = createKafka(context);
  producer = kafka.producer();
  await producer.start?.();
  log = kafka.log();
  await log.start?.();
});
after(async () => {
  for (const part of [producer, log, ...open]) await part.stop?.();
});

async function running<T extends Part>(part: T): Promise<T> {
  open.push(part);
  await part.start?.();
  return part;
}

const STEPS = [
  { label: '5s', delayMs: 300 },
  { label: '1m', delayMs: 600 },
];

test('every event arrives once, in order for its id, and is committed', async () => {
  const [topic, group, notes] = [ownTopic(), randomUUID(), new Notes()];
  const consumer = await running(
    kafka.consumer({ group, topics: [topic], maxBatch: 100, handle: (events) => note(notes, events) }),
  );
  assert.equal(consumer.ready?.(), true);
  const events = many(1_000);
  await producer.send(topic, events);
  await notes.until((n) => n.events().length >= events.length);
  assert.deepEqual(idsOf(notes.events()).toSorted(), idsOf(events).toSorted());
  assert.ok(notes.calls.every((call) => call.events.length <= 100));
  assert.deepEqual(
    notes.events().find((event) => event.id === reserved(7).id),
    reserved(7),
  );
  await consumer.drain?.();
  const offsets = await log.offsets(topic, group);
  assert.equal(offsets.length, 8);
  for (const { committed, end } of offsets.filter((o) => o.end !== 0)) assert.equal(committed, end);
  const [record] = await recordsOf(context, topic);
  assert.equal(record?.headers[HEADERS.correlationId], (JSON.parse(String(record?.value)) as SaleEvent).correlationId);
});

test('a backlog too large for one record batch is written all the same', async () => {
  const topic = ownTopic();
  await createTopics(context, [{ topic, partitions: 1 }]);
  const events = many(6_000);
  await producer.send(topic, events);
  const records = await recordsOf(context, topic);
  assert.deepEqual(
    records.map(({ key }) => key),
    idsOf(events),
  );
});

test('events that fail wait in the retry topics, then lie with the dead letters, and can be driven back', async () => {
  const [topic, group, notes] = [ownTopic(), randomUUID(), new Notes()];
  let broken = true;
  const handle = (events: readonly SaleEvent[]): Promise<{ event: SaleEvent; error: Error }[]> => {
    notes.add(events);
    const odd = events.filter(({ buyer }) => broken && buyer !== 'buyer-0');
    return Promise.resolve(odd.map((event) => ({ event, error: new Error('no such card') })));
  };
  const consumer = await running(createConsumer(context, { group, topics: [topic], handle }, STEPS));
  await producer.send(topic, many(4));
  // One of four is handled at once; three of them three times.
  await notes.until((n) => n.events().length >= 10);
  const times = notes.calls.filter(({ events }) => idsOf(events).includes(reserved(1).id)).map(({ at }) => at);
  assert.equal(times.length, 3);
  assert.ok(Number(times[1]) - Number(times[0]) >= 300, 'the first delay was kept');
  assert.ok(Number(times[2]) - Number(times[1]) >= 600, 'the second delay was kept');

  await consumer.drain?.();
  const letters = await recordsOf(context, deadLetterTopic(topic, group));
  assert.equal(letters.length, 3);
  const letter = letters.find(({ key }) => key === reserved(1).id);
  assert.ok(letter);
  assert.deepEqual(JSON.parse(letter.value), reserved(1));
  assert.equal(letter.headers[HEADERS.error], 'Error: no such card');
  assert.equal(letter.headers[HEADERS.attempts], '3');
  assert.equal(letter.headers[HEADERS.topic], topic);
  assert.match(String(letter.headers[HEADERS.partition]), /^\d$/);
  assert.match(String(letter.headers[HEADERS.offset]), /^\d+$/);
  assert.equal(letter.headers[HEADERS.correlationId], 'correlation-1');

  broken = false;
  assert.equal(await kafka.redrive(group, topic, 2), 2);
  assert.equal(await kafka.redrive(group, topic, 2), 1, 'what was moved is not moved again');
  assert.equal(await kafka.redrive(group, topic, 2), 0);
  await running(createConsumer(context, { group, topics: [topic], handle }, STEPS));
  await notes.until((n) => n.events().length >= 13);
  assert.deepEqual(idsOf(notes.events().slice(10)).toSorted(), idsOf(many(3, 1)));
});

test('where the handler throws the same events come again, none is skipped', async () => {
  const [topic, group, notes] = [ownTopic(), randomUUID(), new Notes()];
  const done: string[] = [];
  await createTopics(context, [{ topic, partitions: 1 }]);
  await producer.send(topic, many(30));
  await running(
    kafka.consumer({
      group,
      topics: [topic],
      maxBatch: 10,
      handle(events) {
        notes.add(events);
        if (notes.calls.length <= 3) return Promise.reject(new Error('the database is down'));
        done.push(...idsOf(events));
        return Promise.resolve([]);
      },
    }),
  );
  await notes.until((n) => n.calls.length >= 6);
  assert.deepEqual(idsOf(notes.calls[0]?.events ?? []), idsOf(many(10)));
  assert.deepEqual(notes.calls[3]?.events, notes.calls[0]?.events);
  assert.deepEqual(done, idsOf(many(30)));
  assert.deepEqual(await recordsOf(context, deadLetterTopic(topic, group)), []);
});

test('a record that holds no event is a dead letter at once; its neighbours are handled', async () => {
  const [topic, group, notes] = [ownTopic(), randomUUID(), new Notes()];
  await createTopics(context, [{ topic, partitions: 1 }]);
  await sendRaw(context, topic, '{"type":"reserved"');
  await sendRaw(context, topic, JSON.stringify({ ...reserved(1), quantity: 'two' }));
  await producer.send(topic, [reserved(2)]);
  const consumer = await running(kafka.consumer({ group, topics: [topic], handle: (events) => note(notes, events) }));
  await notes.until((n) => n.events().length > 0);
  await consumer.drain?.();
  assert.deepEqual(notes.events(), [reserved(2)]);
  const letters = await recordsOf(context, deadLetterTopic(topic, group));
  assert.deepEqual(
    letters.map(({ value }) => value),
    ['{"type":"reserved"', JSON.stringify({ ...reserved(1), quantity: 'two' })],
  );
  assert.match(String(letters[1]?.headers[HEADERS.error]), /quantity is not a number/);
  for (const step of STEPS) assert.deepEqual(await recordsOf(context, retryTopic(topic, group, step)), []);
});

test('a drain finishes and commits the call under way; the next member goes on from there', async () => {
  const [topic, group] = [ownTopic(), randomUUID()];
  const [first, second] = [new Notes(), new Notes()];
  await createTopics(context, [{ topic, partitions: 1 }]);
  await producer.send(topic, many(20));
  const gate = Promise.withResolvers<undefined>();
  const consumer = await running(
    kafka.consumer({
      group,
      topics: [topic],
      maxBatch: 10,
      async handle(events) {
        first.add(events);
        await gate.promise;
        return [];
      },
    }),
  );
  await first.until((n) => n.calls.length === 1);
  const drained = consumer.drain?.();
  gate.resolve(undefined);
  await drained;
  assert.equal(consumer.ready?.(), false);
  await running(kafka.consumer({ group, topics: [topic], handle: (events) => note(second, events) }));
  await second.until((n) => n.events().length >= 10);
  assert.deepEqual(idsOf(first.events()), idsOf(many(10)));
  assert.deepEqual(idsOf(second.events()), idsOf(many(10, 10)));
});

test('members share the partitions; when one leaves the other takes over', async () => {
  const [topic, group] = [ownTopic(), randomUUID()];
  const [a, b] = [new Notes(), new Notes()];
  const one = await running(kafka.consumer({ group, topics: [topic], handle: (events) => note(a, events) }));
  await running(kafka.consumer({ group, topics: [topic], handle: (events) => note(b, events) }));
  for (let round = 0; a.calls.length === 0 || b.calls.length === 0; round++) {
    assert.ok(round < 20, 'both members get events');
    const before = a.events().length + b.events().length;
    await producer.send(topic, many(100, round * 100));
    await Promise.race([a, b].map((n) => n.until(() => a.events().length + b.events().length >= before + 100)));
  }
  await one.drain?.();
  await producer.send(topic, many(100, 10_000));
  await b.until((n) => n.events().filter(({ id }) => id >= reserved(10_000).id).length >= 100);
});

test('the log is read whole, also where partitions are empty or their beginning is gone', async (t) => {
  const topic = ownTopic();
  await createTopics(context, [{ topic, partitions: 8 }]);
  assert.deepEqual(await all(log.readAll(topic)), []);
  await producer.send(topic, many(3));
  assert.deepEqual((await all(log.readAll(topic))).toSorted(), idsOf(many(3)).toSorted());
  await producer.send(topic, many(5_000, 3));
  assert.equal(new Set(await all(log.readAll(topic))).size, 5_003);

  const admin = connectKafka(context).admin();
  t.after(() => admin.disconnect());
  await admin.connect();
  // kafkajs deletes only where it knows the leaders already.
  await admin.fetchTopicOffsets(topic);
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '-1' }] });
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 1, offset: '5' }] });
  const offsets = await log.offsets(topic, randomUUID());
  const left = offsets.reduce((sum, { start, end }) => sum + Number(end) - start, 0);
  assert.ok(left < 5_003 - 5);
  assert.equal((await all(log.readAll(topic))).length, left);
});

test('reading the log can be broken off', async () => {
  const topic = ownTopic();
  await createTopics(context, [{ topic, partitions: 2 }]);
  await producer.send(topic, many(100));
  for await (const event of log.readAll(topic)) {
    assert.equal(event.type, 'reserved');
    break;
  }
});

test('offsets: -1 where the group has committed nothing, and no partitions where there is no topic', async () => {
  const topic = ownTopic();
  assert.deepEqual(await log.offsets(topic, randomUUID()), []);
  await createTopics(context, [{ topic, partitions: 2 }]);
  assert.deepEqual(await log.offsets(topic, randomUUID()), [
    { partition: 0, committed: -1, start: 0, end: 0 },
    { partition: 1, committed: -1, start: 0, end: 0 },
  ]);
});

test('topics are created by many at the same time without an error', async () => {
  const topic = ownTopic();
  const plans = [
    { topic, partitions: 3 },
    { topic: `${topic}.x`, partitions: 1 },
  ];
  await Promise.all(Array.from({ length: 5 }, () => createTopics(context, plans)));
  assert.equal((await log.offsets(topic, 'nobody')).length, 3);
});

test('a send that the broker refuses fails, and the producer works afterwards', async () => {
  const topic = ownTopic();
  await createTopics(context, [{ topic, partitions: 1 }]);
  const tooLarge = { ...reserved(1), sku: 'x'.repeat(2_000_000) };
  await assert.rejects(producer.send(topic, [tooLarge]), { type: 'MESSAGE_TOO_LARGE' });
  await Promise.all(many(20).map((event) => producer.send(topic, [event])));
  assert.deepEqual((await all(log.readAll(topic))).toSorted(), idsOf(many(20)));
});

function note(notes: Notes, events: readonly SaleEvent[]): Promise<[]> {
  notes.add(events);
  return Promise.resolve([]);
}

async function all(events: AsyncIterable<SaleEvent>): Promise<string[]> {
  const ids: string[] = [];
  for await (const event of events) ids.push(event.id);
  return ids;
}
