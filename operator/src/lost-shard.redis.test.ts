/** A Redis that lost one shard of a sale: what the other shards reserved stays bought. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { testRedis } from '@flashsale/local/testing';
import { keys } from '@flashsale/sale';
import { SKU, World } from './world.fixture.ts';

let world: World;
before(async () => {
  world = await World.start(await testRedis());
});
after(() => world.stop());

test('where one shard was lost, what the other reserved and nobody has relayed stays bought', async () => {
  const name = `lost-shard-${process.pid}`;
  await world.apply(name, {});
  const first = world.operator();
  await world.until(first, name, (status) => status.phase === 'Open');
  assert.deepEqual(await world.buy(name, 4), ['reserved', 'reserved', 'reserved', 'reserved']);
  const ofShard = [keys.meta, keys.holds, keys.due, keys.transfers, keys.outbox].map((key) => key(name, 0));
  await world.redis.command('DEL', ...ofShard, keys.item(name, 0, SKU));

  const late: string[] = [];
  const operator = world.operator((deps) => ({
    ...deps,
    log: {
      ...deps.log,
      readAll: async function* (topic) {
        // Whoever comes while the log is read is sent away: a rebuild would not know of him.
        late.push(...(await world.buy(name, 2)));
        yield* deps.log.readAll(topic);
      },
    },
  }));
  const back = await world.until(operator, name, (status) => status.epoch === 2);
  assert.deepEqual([late.length > 0, late.filter((code) => code === 'reserved')], [true, []]);
  assert.equal(back.items[0]?.held, 2);
  const paid = await world.until(
    first,
    name,
    (status) => status.items[0]?.held === 0,
    async () => {
      await world.relay(name);
      await world.consume();
    },
  );
  assert.deepEqual([paid.items[0]?.sold, paid.items[0]?.free], [2, 8]);
  const statuses = [...world.entries.values()].filter(({ sale }) => sale === name).map(({ status }) => status);
  assert.deepEqual(statuses, ['paid', 'paid']);
});
