/** Connections to Kafka on which nothing comes through any more, though new ones would work, are replaced. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import { freePort, startKafka, testFolder } from '@flashsale/local/testing';
import { persist } from './kafka-connect.ts';
import { contextOf, idsOf, many, Notes, ownTopic } from './kafka-fixtures.ts';
import { createKafka } from './kafka.ts';
import { startProxy } from './redis-fixtures.ts';

/** A request has 10 s, a send 15 s, and joining anew takes a moment. */
const WITHIN_MS = 45_000;

test('producer, consumer and log go on over new connections', { timeout: 150_000 }, async (t) => {
  const port = await freePort();
  const proxy = await startProxy(port);
  const dataDir = join(testFolder(), 'kafka-silence');
  const server = await startKafka({ dataDir, port, advertisedPort: proxy.port, durable: false });
  const context = contextOf(`127.0.0.1:${proxy.port}`);
  const kafka = createKafka(context);
  const [topic, notes] = [ownTopic(), new Notes()];
  const handle = (events: Parameters<Notes['add']>[0]): Promise<[]> => {
    notes.add(events);
    return Promise.resolve([]);
  };
  const [producer, log] = [kafka.producer(), kafka.log()];
  const group = randomUUID();
  const parts = [kafka.consumer({ group, topics: [topic], handle }), producer, log];
  const all = [kafka.ensureTopics(), ...parts];
  t.after(async () => {
    for (const part of parts) await part.stop?.();
    await proxy.stop();
    await server.stop();
  });
  for (const part of all) await part.start?.();
  await producer.send(topic, many(10));
  await notes.until((n) => n.events().length >= 10);
  await log.offsets(topic, group);

  proxy.hangOpen();
  const from = performance.now();
  await Promise.all([
    persist('sending', context, WITHIN_MS, () => producer.send(topic, many(10, 10))),
    persist('reading offsets', context, WITHIN_MS, () => log.offsets(topic, group)),
  ]);
  const ids = new Set(idsOf(many(20)));
  await notes.until((n) => new Set(idsOf(n.events())).size >= ids.size, WITHIN_MS);
  assert.ok(performance.now() - from < WITHIN_MS, 'in time');
  assert.deepEqual(new Set(idsOf(notes.events())), ids);
});
