/** Kafka is killed and comes back with its data: producer, consumer and log go on without help, and nothing is lost. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import { freePort, freePorts, startKafka, testFolder } from '@flashsale/local/testing';
import { contextOf, idsOf, many, Notes, ownTopic } from './kafka-fixtures.ts';
import { createKafka } from './kafka.ts';
import { persist } from './kafka-connect.ts';

test('after kill -9 of Kafka everything goes on by itself', async (t) => {
  const [port, controllerPort] = [await freePort(), (await freePorts(1))[0] ?? 0];
  const options = { dataDir: join(testFolder(), 'kafka-restart'), port, controllerPort };
  let server = await startKafka(options);
  t.after(() => server.stop());
  const context = contextOf(server.url);
  const kafka = createKafka(context);
  const [topic, notes] = [ownTopic(), new Notes()];
  const group = randomUUID();
  const consumer = kafka.consumer({
    group,
    topics: [topic],
    handle(events) {
      notes.add(events);
      return Promise.resolve([]);
    },
  });
  const [producer, log] = [kafka.producer(), kafka.log()];
  const parts = [kafka.ensureTopics(), producer, consumer, log];
  for (const part of parts) await part.start?.();
  t.after(async () => {
    for (const part of parts.toReversed()) await part.stop?.();
  });

  await producer.send(topic, many(100));
  await notes.until((n) => n.events().length >= 100);
  assert.equal((await log.offsets(topic, group)).length, 8);
  const underWay = persist('sending', context, 60_000, () => producer.send(topic, many(100, 100)));
  await server.kill();
  const whileDown = persist('sending', context, 60_000, () => producer.send(topic, many(100, 200)));
  server = await startKafka(options);
  await Promise.all([underWay, whileDown]);
  await producer.send(topic, many(100, 300));

  const all = new Set(idsOf(many(400)));
  await notes.until((n) => new Set(idsOf(n.events())).size >= all.size, 60_000);
  assert.deepEqual(new Set(idsOf(notes.events())), all);
  assert.equal(consumer.ready?.(), true);
  const read: string[] = [];
  for await (const event of log.readAll(topic)) read.push(event.id);
  assert.deepEqual(new Set(read), all);
  await consumer.drain?.();
  const offsets = await persist('reading offsets', context, 20_000, () => log.offsets(topic, group));
  assert.deepEqual(
    offsets.map(({ committed }) => committed),
    offsets.map(({ end }) => end),
  );
});
