/** Reservations that Redis forgot after they had reached the log, and whose units it sold again: never one unit too many. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, startRedis, testFolder, type RunningServer } from '@flashsale/local/testing';
import { purchaseId, TOPICS, type PurchaseReserved } from '@flashsale/sale';
import { SKU, World } from './world.fixture.ts';

let server: RunningServer;
let world: World;
before(async () => {
  // Its own: these tests lose everything in it.
  server = await startRedis({ dataDir: join(testFolder(), 'redis-forgotten'), port: await freePort(), durable: false });
  world = await World.start(server.url);
});
after(async () => {
  await world.stop();
  await server.stop();
});

/** Puts reservations into the log that Redis knows nothing of. */
function forget(sale: string, count: number, expiresAt: number): void {
  for (let n = 0; n < count; n++) {
    const id = purchaseId(sale, n % 2, `forgotten${n}`.padEnd(22, '0'));
    const facts = { id, sale, sku: SKU, quantity: 1, buyer: `forgotten-${n}`, amountMinor: 100, currency: 'EUR' };
    const event: PurchaseReserved = {
      ...facts,
      type: 'reserved',
      epoch: 1,
      correlationId: id,
      reservedAt: 1,
      expiresAt,
    };
    world.topics[TOPICS.purchases]?.push(event);
  }
}

test('more reservations than units after a rebuild: the stock stays what it is, and no more is sold', async () => {
  const name = 'forgotten-1';
  const operator = world.operator();
  await world.apply(name, {});
  await world.until(operator, name, ({ phase }) => phase === 'Open');
  forget(name, 3, Date.now() + 60_000);
  assert.equal((await world.buy(name, 10)).filter((code) => code === 'reserved').length, 10);
  await world.relay(name);
  await world.redis.command('FLUSHALL');
  for (let pass = 0; pass < 12; pass++) await operator.pass();
  const status = await world.status(name);
  assert.deepEqual(
    [status?.epoch, status?.accepted?.items[0]?.stock, world.allocations.get(name)?.get(SKU)?.allocated],
    [2, 10, 10],
  );
  await world.relay(name);
  await world.consume();
  const sold = [...world.entries.values()].filter((entry) => entry.sale === name && entry.status === 'paid');
  assert.equal(sold.length, 10);
});

test('a sold-out sale whose forgotten reservation becomes a hold again: it expires, and the stock stays what it is', async () => {
  const name = 'forgotten-2';
  const operator = world.operator();
  const spec = { opensAt: Date.now() - 1_000, payment: { holdFor: '1s' } };
  await world.apply(name, spec);
  await world.until(operator, name, ({ phase }) => phase === 'Open');
  forget(name, 1, Date.now() - 1);
  await world.buy(name, 10);
  await world.relay(name);
  await world.consume();
  await world.apply(name, { ...spec, closesAt: Date.now() });
  const closed = await world.until(
    operator,
    name,
    ({ proof }) => proof !== undefined,
    async () => {
      await world.relay(name);
      await world.consume();
      await sleep(50);
    },
  );
  const { stock, sold, holds } = closed.proof ?? {};
  assert.deepEqual([closed.epoch, stock, sold, holds], [2, 10, 10, true]);
});
