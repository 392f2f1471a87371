/** The relay loses nothing, wherever it dies: every await of it may be the last one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger } from '@flashsale/platform/log';
import { type OutboxEntry, type SaleEvent, TOPICS, type TopicName } from '@flashsale/sale';
import fc from 'fast-check';
import { Relay } from './relay.ts';
import { RedisClock } from './redis-clock.ts';
import { listSale } from './sale-directory.ts';
import { testSale } from './test-sale.ts';

const log = createLogger('test', 'silent');
const listed = listSale(testSale('drop'));
const clock = new RedisClock({ time: () => Promise.resolve(Date.now()) });

function event(id: string, type: 'reserved' | 'expired'): SaleEvent {
  const facts = {
    id,
    sale: 'drop',
    sku: 's',
    quantity: 1,
    buyer: 'b',
    amountMinor: 1,
    currency: 'EUR',
    epoch: 1,
    correlationId: 'c',
  };
  return type === 'reserved' ? { ...facts, type, reservedAt: 0, expiresAt: 1 } : { ...facts, type, at: 0 };
}

/** Two outboxes as a consumer group of a Redis stream keeps them: handed out, pending, acknowledged. */
class Outboxes {
  readonly shards: OutboxEntry[][];
  constructor(sizes: readonly number[]) {
    this.shards = sizes.map((size, shard) =>
      Array.from({ length: size }, (_, i) => {
        const type = i % 3 === 2 ? 'expired' : 'reserved';
        return {
          entryId: `${i + 1}-0`,
          topic: type === 'reserved' ? TOPICS.purchases : TOPICS.payments,
          events: [event(`${shard}.${i}`, type)],
        };
      }),
    );
  }
  get left(): number {
    return this.shards.flat().length;
  }
  readonly readOutbox = (_sale: string, shard: number, _consumer: string, limit: number): Promise<OutboxEntry[]> => {
    return Promise.resolve((this.shards[shard] ?? []).slice(0, limit));
  };
  readonly acknowledgeOutbox = (_sale: string, shard: number, ids: readonly string[]): Promise<void> => {
    this.shards[shard] = (this.shards[shard] ?? []).filter(({ entryId }) => !ids.includes(entryId));
    return Promise.resolve();
  };
}

class Crash extends Error {}

/** Fails the nth call over all ports, before or after it took effect. */
function crashing(plan: readonly { readonly call: number; readonly after: boolean }[]) {
  let calls = 0;
  return <A extends unknown[], R>(port: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      const point = plan.find(({ call }) => call === calls);
      calls++;
      if (point && !point.after) throw new Crash('before');
      const result = await port(...args);
      if (point) throw new Crash('after');
      return result;
    };
}

const crashes = fc.array(fc.record({ call: fc.nat(20), after: fc.boolean() }), { maxLength: 8 });

test('whichever call fails, before or after its effect, every event reaches its topic and only then leaves the outbox', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat(150), { minLength: 2, maxLength: 2 }),
      crashes,
      fc.boolean(),
      async (sizes, plan, dies) => {
        const outboxes = new Outboxes(sizes);
        const expected = outboxes.shards
          .flat()
          .flatMap(({ topic, events }) => events.map(({ id }) => `${topic} ${id}`));
        const written = new Set<string>();
        const wrap = crashing(plan);
        const send = wrap((topic: TopicName, events: readonly SaleEvent[]) => {
          for (const { id } of events) written.add(`${topic} ${id}`);
          return Promise.resolve();
        });
        const acknowledge = wrap((sale: string, shard: number, ids: readonly string[]) => {
          for (const entry of outboxes.shards[shard] ?? []) {
            if (!ids.includes(entry.entryId)) continue;
            for (const { id } of entry.events)
              assert.ok(written.has(`${entry.topic} ${id}`), 'acknowledged before written');
          }
          return outboxes.acknowledgeOutbox(sale, shard, ids);
        });
        const store = { readOutbox: wrap(outboxes.readOutbox), acknowledgeOutbox: acknowledge };
        const make = (): Relay => {
          return new Relay({ store, sink: { send }, directory: { all: () => [listed], clock }, log, consumer: 'one' });
        };
        let relay = make();
        for (let pass = 0; pass < 40 && outboxes.left > 0; pass++) {
          relay.kick('drop', 0);
          relay.kick('drop', 1);
          // After a failure the process either goes on, or is gone and another one takes over.
          await relay.step().catch((error: unknown) => {
            assert.ok(error instanceof Crash);
            if (dies) relay = make();
          });
        }
        assert.equal(outboxes.left, 0);
        assert.deepEqual([...written].sort(), expected.sort());
      },
    ),
    { numRuns: 200 },
  );
});

test('while Kafka refuses, what was read is sent again first, and nothing is acknowledged', async () => {
  const outboxes = new Outboxes([2, 0]);
  let refuses = true;
  const sent: string[][] = [];
  const relay = new Relay({
    store: outboxes,
    sink: {
      send: (_topic, events) => {
        if (refuses) return Promise.reject(new Error('no leader'));
        sent.push(events.map(({ id }) => id));
        return Promise.resolve();
      },
    },
    directory: { all: () => [listed], clock },
    log,
    consumer: 'one',
  });
  await assert.rejects(relay.step(), /no leader/);
  await assert.rejects(relay.step(), /no leader/);
  assert.equal(outboxes.left, 2);
  refuses = false;
  await relay.step();
  assert.equal(outboxes.left, 0);
  assert.deepEqual(sent, [['0.0', '0.1']]);
});

test('what the last purchases left is carried before the process ends', async () => {
  const outboxes = new Outboxes([0, 0]);
  const sent: string[] = [];
  const send = (_topic: TopicName, events: readonly SaleEvent[]): Promise<void> => {
    sent.push(...events.map(({ id }) => id));
    return Promise.resolve();
  };
  const relay = new Relay({
    store: outboxes,
    sink: { send },
    directory: { all: () => [listed], clock },
    log,
    consumer: 'one',
  });
  await relay.start();
  // The first pass finds nothing; then a purchase comes, and the signal to end right after it.
  await new Promise(setImmediate);
  outboxes.shards[1] = new Outboxes([1]).shards[0] ?? [];
  relay.kick('drop', 1);
  await relay.drain();
  assert.deepEqual(sent, ['0.0']);
  assert.equal(outboxes.left, 0);
});
