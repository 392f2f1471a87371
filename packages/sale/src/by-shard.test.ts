import assert from 'node:assert/strict';
import { test } from 'node:test';
import { putOffUnpublished, resolveByShard, soundEvents, StoreNotReady } from './by-shard.ts';
import type { PurchaseReserved, SaleEvent } from './events.ts';
import type { ResolveAnswer } from './ports.ts';
import { drop } from './sale.fixture.ts';
import type { ShardItem } from './types.ts';

const event = (sale: string, shard: number, n: number, more: Partial<PurchaseReserved> = {}): PurchaseReserved => ({
  type: 'reserved',
  id: `${sale}.${shard}.${`${n}`.padStart(22, '0')}`,
  sale,
  sku: 'shoe',
  quantity: 1,
  buyer: 'ann',
  amountMinor: 1,
  currency: 'EUR',
  epoch: 1,
  correlationId: 'c',
  reservedAt: 0,
  expiresAt: 1,
  ...more,
});

test('one call a shard and item, each purchase once, answers by id', async () => {
  const calls: [ShardItem, string[]][] = [];
  const events = [
    event('a', 0, 1),
    event('a', 1, 2),
    event('a', 0, 3),
    event('a', 0, 1),
    event('a', 0, 4, { sku: 'boot' }),
  ];
  const answers = await resolveByShard(events, (at, batch) => {
    calls.push([at, batch.map(({ id }) => id.slice(-1))]);
    return Promise.resolve(batch.map((): ResolveAnswer => ({ code: at.shard === 1 ? 'missing' : 'done' })));
  });
  assert.deepEqual(calls, [
    [{ sale: 'a', shard: 0, sku: 'shoe' }, ['1', '3']],
    [{ sale: 'a', shard: 1, sku: 'shoe' }, ['2']],
    [{ sale: 'a', shard: 0, sku: 'boot' }, ['4']],
  ]);
  assert.deepEqual([...answers.values()].map(({ code }) => code).toSorted(), ['done', 'done', 'done', 'missing']);
});

test('a shard that is not ready, or answers too little, fails the call', async () => {
  for (const answers of [[{ code: 'notWarm' }], [{ code: 'wrongEpoch' }], []] as ResolveAnswer[][]) {
    await assert.rejects(
      resolveByShard([event('a', 0, 1)], () => Promise.resolve(answers)),
      StoreNotReady,
    );
  }
});

test('events that cannot be booked are set apart, with what is wrong', () => {
  const good = event('a', 0, 1);
  const flaws: [Partial<PurchaseReserved>, RegExp][] = [
    [{ id: 'x' }, /purchase id/],
    [{ sale: 'b' }, /purchase id/],
    [{ quantity: 1.5 }, /quantity/],
    [{ quantity: 0 }, /quantity/],
    [{ epoch: -1 }, /epoch/],
    [{ amountMinor: 2 ** 53 }, /amountMinor/],
    [{ sku: 'a\0' }, /NUL/],
    [{ buyer: '' }, /buyer/],
    [{ buyer: 'x'.repeat(256) }, /buyer/],
    [{ buyerNumber: 0.5 }, /buyerNumber/],
    [{ reservedAt: 1e300 }, /time/],
    [{ reason: 'a\0' } as Partial<PurchaseReserved>, /NUL/],
    [{ reason: {} } as Partial<PurchaseReserved>, /reason/],
  ];
  const { sound, failures } = soundEvents([...flaws.map(([more]) => ({ ...good, ...more })), good]);
  assert.deepEqual(sound, [good]);
  assert.equal(failures.length, flaws.length);
  failures.forEach(({ error }, i) => assert.match((error as Error).message, flaws[i]?.[1] ?? /never/));
});

/** Handles what is warm, and throws as a whole where one of the events is not. */
function handler(warm: readonly string[]) {
  const handled: string[] = [];
  const handle = (events: readonly SaleEvent[]): Promise<[]> => {
    const cold = events.find(({ sale }) => !warm.includes(sale));
    if (cold) return Promise.reject(new StoreNotReady({ sale: cold.sale, shard: 0, sku: cold.sku }, 'notWarm'));
    handled.push(...events.map(({ sale }) => sale));
    return Promise.resolve([]);
  };
  return { handled, handle };
}
const registry = (version: number, ...names: string[]) => ({
  publishedVersion: () => Promise.resolve(version),
  published: () => Promise.resolve(names.map((name) => ({ ...drop, name, epoch: 1, phase: 'Open' as const }))),
});
const batch = [event('here', 0, 1), event('gone', 0, 2), event('here', 0, 3)];

test('events of a sale that was removed are put off, the others are handled', async () => {
  const { handled, handle } = handler(['here']);
  const failures = await putOffUnpublished(registry(7, 'here'), handle)(batch);
  assert.deepEqual(handled, ['here', 'here']);
  assert.deepEqual(
    failures.map(({ event: { sale }, error }) => [sale, error instanceof StoreNotReady]),
    [['gone', true]],
  );
});

test('an item or a shard that a published sale has not got is put off as well', async () => {
  const { handled, handle } = handler(['here']);
  const odd = [event('here', drop.warm.shards, 4), event('here', 0, 5, { sku: 'boot' })];
  const cold = (events: readonly SaleEvent[]): Promise<[]> => {
    const first = events.find((one) => odd.some(({ id }) => id === one.id));
    return first
      ? Promise.reject(new StoreNotReady({ sale: 'here', shard: 0, sku: first.sku }, 'notWarm'))
      : handle(events);
  };
  const failures = await putOffUnpublished(registry(7, 'here'), cold)([event('here', 0, 1), ...odd]);
  assert.deepEqual(handled, ['here']);
  assert.deepEqual(
    failures.map(({ event: { id } }) => id),
    odd.map(({ id }) => id),
  );
});

test('a published sale that is not warm, a Redis that lost everything, and any other error stop the batch', async () => {
  const { handled, handle } = handler(['here']);
  await assert.rejects(putOffUnpublished(registry(7, 'here', 'gone'), handle)(batch), StoreNotReady);
  await assert.rejects(putOffUnpublished(registry(0), handle)(batch), StoreNotReady);
  const broken = (): Promise<never> => Promise.reject(new TypeError('other'));
  await assert.rejects(putOffUnpublished(registry(7, 'here'), broken)(batch), TypeError);
  assert.deepEqual(handled, []);
});
