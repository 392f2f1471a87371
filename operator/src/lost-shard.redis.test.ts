/** A Redis that lost one shard of a sale, or its last writes: what was bought stays bought, and the proof holds. */
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

/** What a failover leaves behind: the last settled purchase is a hold again. */
async function takeBack(name: string): Promise<void> {
  for (const shard of [0, 1]) {
    const holds = keys.holds(name, shard);
    const all = await world.redis.command<string[]>('HGETALL', holds);
    const at = all.findIndex((text) => text.startsWith('1\n'));
    if (at < 0) continue;
    const [id = '', text = ''] = all.slice(at - 1);
    await world.redis.command('HSET', holds, id, `0${text.slice(1)}`);
    await world.redis.command('ZADD', keys.due(name, shard), text.split('\n')[1] ?? '', id);
    await world.redis.command('HINCRBY', keys.item(name, shard, SKU), 'held', 1);
    await world.redis.command('HINCRBY', keys.item(name, shard, SKU), 'sold', -1);
    return;
  }
  assert.fail('nothing was settled');
}

test('a failover that takes back how purchases ended, around the closing, is made good, and the proof holds', async () => {
  const name = `taken-back-${process.pid}`;
  const closesAt = Date.now() + 1_500;
  await world.apply(name, { closesAt, payment: { holdFor: '30ms' } });
  const operator = world.operator();
  await world.until(operator, name, (status) => status.phase === 'Open');
  await world.buy(name, 3);
  await world.relay(name);
  await world.consume();
  let taken = false;
  const settle = async (): Promise<void> => {
    if (!taken && (await world.status(name))?.phase === 'Draining') {
      taken = true;
      await takeBack(name);
    }
    await world.relay(name);
    await world.consume();
    // As the sweeper does: Redis lets the hold expire which the ledger has sold.
    for (const shard of [0, 1]) {
      for (const { id, sku } of await world.store.due(name, shard, 10)) {
        await world.store.release({ sale: name, shard, sku }, [{ id, status: 'expired', epoch: 0 }]);
      }
    }
  };
  const sold = (status: { readonly items: readonly { readonly sold: number }[] }) => status.items[0]?.sold;
  const closed = await world.until(operator, name, ({ proof }) => proof?.holds === true, settle);
  assert.deepEqual([closed.phase, sold(closed)], ['Closed', 3]);
  assert.ok(taken);
  assert.ok(!operator.notes.some(({ message }) => message === 'THE PROOF DOES NOT HOLD'));

  await takeBack(name);
  const { epoch } = closed;
  const mended = await world.until(operator, name, (now) => now.epoch > epoch && now.proof?.holds === true);
  assert.deepEqual([sold(mended), mended.proof?.sold], [3, 3]);
});
