/** Events survive their way through a record; what is no event is told apart; failures go where they should. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { KafkaMessage } from 'kafkajs';
import { reserved } from './kafka-fixtures.ts';
import { decodeEvent, encodeEvent, HEADERS, headerText, originOf } from './kafka-record.ts';
import { dueAt, failedRecords, revive, type Failure } from './kafka-retry.ts';
import { RETRY_STEPS } from './kafka-topics.ts';

const NOW = 1_000_000;

function messageOf(value: string | Buffer | null, headers: KafkaMessage['headers'] = {}): KafkaMessage {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  return { key: Buffer.from('key'), value: bytes, headers, offset: '7', timestamp: '0', attributes: 0 };
}

test('an event is the same after encoding and decoding', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.maxSafeInteger(), (id, buyer, amountMinor) => {
      const event = { ...reserved(1), id, buyer, amountMinor };
      const record = encodeEvent(event);
      assert.deepEqual(decodeEvent(Buffer.from(record.value as string)), event);
      assert.equal(record.key, id);
    }),
  );
});

test('every field that an event must have is asked for, and its type is checked', () => {
  const { type, ...rest } = reserved(1);
  for (const field of [...Object.keys(rest), 'type']) {
    const without = Object.fromEntries(Object.entries({ type, ...rest }).filter(([name]) => name !== field));
    assert.throws(() => decodeEvent(Buffer.from(JSON.stringify(without))), new RegExp(field));
    const wrong = JSON.stringify({ ...without, [field]: [] });
    assert.throws(() => decodeEvent(Buffer.from(wrong)), new RegExp(field));
  }
});

test('bytes that hold no event always make an Error, never an event', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array(),
        fc.json().map((text) => Buffer.from(text)),
      ),
      (bytes) => {
        assert.throws(() => decodeEvent(Buffer.from(bytes)), Error);
      },
    ),
  );
  assert.throws(() => decodeEvent(null), /no value/);
});

test('a failed record goes to the next step, and after the last to the dead letters', () => {
  const topics: string[] = [];
  let message = messageOf('the value', { [HEADERS.correlationId]: 'c' });
  for (let round = 0; round <= RETRY_STEPS.length; round++) {
    const origin = originOf('topic', 3, message);
    assert.deepEqual(origin, { topic: 'topic', partition: 3, offset: '7', attempts: round });
    const [batch, ...others] = failedRecords(
      'group',
      [{ message, origin, error: new TypeError('bad'), hopeless: false }],
      NOW,
      RETRY_STEPS,
    );
    assert.deepEqual(others, []);
    assert.ok(batch);
    topics.push(batch.topic);
    const record = batch.messages[0];
    assert.ok(record);
    assert.deepEqual(record.value, message.value);
    message = messageOf(message.value, { ...record.headers });
    const delay = RETRY_STEPS[round]?.delayMs;
    assert.equal(dueAt(message), delay === undefined ? 0 : NOW + delay);
  }
  assert.deepEqual(topics, [
    'topic.group.retry.5s',
    'topic.group.retry.1m',
    'topic.group.retry.10m',
    'topic.group.dlq',
  ]);
  assert.deepEqual(
    [headerText(message.headers, HEADERS.error), headerText(message.headers, HEADERS.attempts)],
    ['TypeError: bad', '4'],
  );
  assert.deepEqual(revive(message).headers, { [HEADERS.correlationId]: 'c' });
});

test('a hopeless record is a dead letter at once, and a long error is cut', () => {
  const failure: Failure = {
    message: messageOf('x'),
    origin: { topic: 't', partition: 0, offset: '0', attempts: 0 },
    error: 'e'.repeat(10_000),
    hopeless: true,
  };
  const [batch] = failedRecords('g', [failure], NOW, RETRY_STEPS);
  assert.ok(batch);
  assert.equal(batch.topic, 't.g.dlq');
  assert.equal(headerText(batch.messages[0]?.headers, HEADERS.error)?.length, 500);
});
