/** The runner: one pass at a time a sale, changes during a pass, failures of one sale, the drain, and what is lost. */
import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { freePort, startRedis, testFolder, type RunningServer } from '@flashsale/local/testing';
import { Existence, keys } from '@flashsale/sale';
import { ClockWatch } from './clock-watch.ts';
import { SKU, World } from './world.fixture.ts';

let server: RunningServer;
let world: World;
before(async () => {
  server = await startRedis({ dataDir: join(testFolder(), 'redis-runner'), port: await freePort(), durable: false });
  world = await World.start(server.url);
});
after(async () => {
  await world.stop();
  await server.stop();
});

test('a change during a pass gets a pass of its own at once', async () => {
  const hold = Promise.withResolvers<undefined>();
  const reached = Promise.withResolvers<undefined>();
  let held = false;
  const written: number[] = [];
  const operator = world.operator((deps) => ({
    ...deps,
    store: {
      ...deps.store,
      time: async () => {
        if (held) return deps.store.time();
        held = true;
        reached.resolve(undefined);
        await hold.promise;
        return deps.store.time();
      },
    },
    resources: {
      ...deps.resources,
      writeStatus: (resource, status) => {
        written.push(status.observedGeneration);
        return deps.resources.writeStatus(resource, status);
      },
    },
  }));
  await world.apply('woken', { opensAt: Date.now() + 7_200_000, closesAt: Date.now() + 7_300_000 });
  await operator.runner.sweep();
  await reached.promise;
  await world.apply('woken', { opensAt: Date.now() + 7_200_000, closesAt: Date.now() + 7_300_000, paused: true });
  operator.runner.wake({ namespace: 'shop', name: 'woken' });
  hold.resolve(undefined);
  await operator.runner.idle();
  // Passes of one sale do not overlap: the first one knew nothing of the change.
  assert.deepEqual(written, [1, 2]);
  const status = await world.status('woken');
  assert.deepEqual([status?.observedGeneration, status?.accepted?.paused], [2, true]);
});

test('a list that is older than the end of a pass is not worked on', async () => {
  await world.apply('stale', { opensAt: Date.now() - 1_000, closesAt: Date.now() + 60_000 });
  const listing = Promise.withResolvers<undefined>();
  let slow = false;
  const operator = world.operator((deps) => ({
    ...deps,
    resources: {
      ...deps.resources,
      list: async () => {
        const late = slow;
        const found = await deps.resources.list();
        if (late) await listing.promise;
        return found;
      },
    },
  }));
  slow = true;
  const second = operator.runner.sweep();
  slow = false;
  await world.until(operator, 'stale', (status) => status.phase === 'Open');
  await operator.pass();
  const written = await world.status('stale');
  listing.resolve(undefined);
  await second;
  await operator.runner.idle();
  // The first list has no status yet: a pass over it would begin the sale anew.
  assert.deepEqual(await world.status('stale'), written);
  slow = false;
  await world.until(operator, 'stale', (status) => status.phase === 'Open');
});

test('a sale whose passes fail keeps no other from opening, and comes back by itself', async () => {
  const operator = world.operator((deps) => ({
    ...deps,
    store: {
      ...deps.store,
      warm: (sale, epoch) =>
        sale.name === 'broken' ? Promise.reject(new Error('no room')) : deps.store.warm(sale, epoch),
    },
  }));
  for (const name of ['broken', 'sound']) await world.apply(name, {});
  await world.until(operator, 'broken', (status) => status.message === 'the last pass failed: no room');
  await world.until(operator, 'sound', (status) => status.phase === 'Open');
  assert.ok(
    operator.notes.some(({ message, fields }) => message === 'reconcile failed' && fields['key'] === 'shop/broken'),
  );
  // The epoch that may have been used is not used again.
  const back = await world.until(operator, 'broken', (status) => status.phase === 'Open');
  assert.equal(back.epoch, 2);
});

test('a drain ends a proof that is waiting to be taken again, and says nothing wrong of the sale', async () => {
  await world.apply('draining', {});
  const operator = world.operator();
  await world.until(operator, 'draining', (status) => status.phase === 'Open');
  const sale = await world.published('draining');
  assert.ok(sale);
  // The ledger has a sale that nobody else knows: no proof holds.
  const entry = { id: `draining.0.${'x'.repeat(22)}`, sale: 'draining', sku: 'shoe', buyer: 'b', quantity: 1 };
  const odd = world.operator((deps) => ({
    ...deps,
    store: {
      ...deps.store,
      inspect: async (one) => {
        const status = await world.status('draining');
        if (one.name === 'draining' && status?.phase === 'Closed') odd.stopping.abort();
        return deps.store.inspect(one);
      },
    },
  }));
  await world.apply('draining', { opensAt: sale.opensAt, closesAt: Date.now() });
  await world.until(odd, 'draining', (status) => status.phase === 'Closed');
  world.entries.set(entry.id, { ...entry, status: 'paid', amountMinor: 1, currency: 'EUR', reservedAt: 1 });
  const started = performance.now();
  await odd.pass();
  assert.ok(performance.now() - started < 900, 'without the pause between two readings');
  const status = await world.status('draining');
  assert.deepEqual([status?.proof, status?.message.includes('failed')], [undefined, false]);
  // Stopped: no pass begins any more.
  await odd.pass();

  // Another operator takes the proof, and again once the reason is gone.
  const next = world.operator();
  const failed = await world.until(next, 'draining', (found) => found.proof !== undefined);
  assert.match(failed.proof?.problems.join() ?? '', /sold in the ledger without a payment in the log/);
  world.entries.delete(entry.id);
  const holds = await world.until(next, 'draining', (found) => found.proof?.holds === true);
  assert.deepEqual(holds.proof?.problems, []);
});

test('a status that is lost or torn in mid-sale: the sale goes on in its epoch', async () => {
  const name = 'lost-status';
  const operator = world.operator();
  await world.apply(name, {});
  await world.until(operator, name, (status) => status.phase === 'Open');
  await world.buy(name, 2);
  for (const damage of [
    () => rm(world.path(name, '.status.json')),
    () => writeFile(world.path(name, '.status.json'), '{"pha'),
  ]) {
    await damage();
    const back = await world.until(operator, name, (status) => status.phase === 'Open');
    assert.deepEqual([back.epoch, back.items[0]?.held], [1, 2]);
    assert.equal((await world.published(name))?.epoch, 1);
  }
  assert.deepEqual(await world.buy(name, 1), ['reserved']);
});

test('the existence filter is complete, and comes back where Redis lost it', async () => {
  world.allocations.set('long-ago', new Map([['boot', { allocated: 1, sold: 0 }]]));
  const name = 'known';
  const operator = world.operator();
  await world.apply(name, {});
  await world.until(operator, name, (status) => status.phase === 'Open');
  for (const lose of [() => Promise.resolve(0), () => world.redis.command('DEL', keys.existence)]) {
    await lose();
    let bytes: Uint8Array | undefined;
    await world.until(operator, name, () => true);
    for (let tries = 0; tries < 1000 && !bytes; tries++) {
      await operator.pass();
      bytes = await world.store.existence();
    }
    const filter = new Existence(bytes ?? new Uint8Array());
    assert.deepEqual(
      [filter.hasItem('long-ago', 'boot'), filter.hasItem(name, SKU), filter.hasSale('made-up')],
      [true, true, false],
    );
  }
  await world.redis.command('DEL', keys.published);
  for (let tries = 0; tries < 1000 && !(await world.published(name)); tries++) await operator.pass();
  assert.equal((await world.published(name))?.phase, 'Open');
});

test('a change of one sale is a pass of that sale alone', async () => {
  const passed: string[] = [];
  const operator = world.operator((deps) => ({
    ...deps,
    resources: {
      ...deps.resources,
      claim: (resource) => {
        passed.push(resource.name);
        return deps.resources.claim(resource);
      },
    },
  }));
  const later = { opensAt: Date.now() + 7_200_000, closesAt: Date.now() + 7_300_000 };
  for (const name of ['one-a', 'one-b']) await world.apply(name, later);
  await operator.pass();
  passed.length = 0;
  operator.runner.wake({ namespace: 'shop', name: 'one-a' });
  await operator.runner.idle();
  assert.deepEqual(passed, ['one-a']);
});

test('a clock that differs from that of Redis is said with Armed, and decides nothing', async () => {
  const clock = new ClockWatch({ wall: () => Date.now() - 3_600_000, steady: () => performance.now() });
  const operator = world.operator((deps) => ({ ...deps, clock }));
  await world.apply('clocks', {});
  const status = await world.until(operator, 'clocks', ({ phase }) => phase === 'Open');
  const armed = status.conditions.find(({ type }) => type === 'Armed');
  assert.match(armed?.message ?? '', /the operator's clock differs from that of Redis by more than 2 s/);
});

test('where Redis lost everything, every sale is published again before the first rebuild reads the log', async () => {
  const names = ['twin-a', 'twin-b'];
  for (const name of names) await world.apply(name, {});
  const first = world.operator();
  for (const name of names) await world.until(first, name, (status) => status.phase === 'Open');
  await world.redis.command('FLUSHALL');
  const seen: boolean[] = [];
  // Another operator: what was published, it knows from the statuses alone.
  const operator = world.operator((deps) => ({
    ...deps,
    log: {
      ...deps.log,
      readAll: async function* (topic) {
        const published = (await world.store.published()).map(({ name }) => name);
        seen.push(names.every((name) => published.includes(name)));
        yield* deps.log.readAll(topic);
      },
    },
  }));
  for (const name of names) {
    const back = await world.until(operator, name, (status) => status.phase === 'Open' && status.epoch === 2);
    assert.deepEqual(back, await world.status(name));
    assert.equal((await world.published(name))?.epoch, 2);
  }
  assert.ok(seen.length > 0 && seen.every(Boolean), String(seen));
});
