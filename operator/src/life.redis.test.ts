/** A sale's life under the operator, on a real Redis: every phase, edits, deletions, and servers that fail. */
import assert from 'node:assert/strict';
import { copyFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { freePort, startRedis, testFolder, type RunningServer } from '@flashsale/local/testing';
import { register } from '@flashsale/platform/metrics';
import { CONDITIONS, TOPICS, type Phase, type StockLevel } from '@flashsale/sale';
import type { SaleStatus, StatusCondition } from './status.ts';
import { itemOf, SKU, World, type Operator } from './world.fixture.ts';

let server: RunningServer;
let world: World;
let names = 0;
before(async () => {
  // Its own: these tests lose everything in it.
  server = await startRedis({ dataDir: join(testFolder(), 'redis-operator'), port: await freePort(), durable: false });
  world = await World.start(server.url);
});
after(async () => {
  await world.stop();
  await server.stop();
});

/** A rule for a workload that does not exist. */
const NOWHERE = {
  target: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'nowhere' },
  min: 1,
  max: 5,
  warm: 2,
  lag: { topic: TOPICS.purchases, group: 'payments', perReplica: 10 },
};
const fresh = (): string => `life-${++names}`;
/** The window of a sale, to keep it in an edit. */
async function windowOf(name: string): Promise<{ opensAt: number; closesAt: number }> {
  const sale = await world.published(name);
  assert.ok(sale);
  return { opensAt: sale.opensAt, closesAt: sale.closesAt };
}
const is = (phase: Phase) => (status: SaleStatus) => status.phase === phase;
const condition = (status: SaleStatus | undefined, type: string): StatusCondition => {
  const found = status?.conditions.find((one) => one.type === type);
  assert.ok(found);
  return found;
};
const level = (status: SaleStatus): StockLevel => {
  const found = status.items.find((item) => item.sku === SKU);
  assert.ok(found);
  return found;
};
const flush = () => world.redis.command('FLUSHALL');
const work = (name: string) => async (): Promise<void> => {
  await world.relay(name);
  await world.consume();
};

/** Applies a sale that is due and brings it to `phase`. */
async function brought(phase: Phase, spec: Parameters<World['apply']>[1] = {}): Promise<[string, Operator]> {
  const name = fresh();
  const operator = world.operator();
  const opensAt = phase === 'Warming' || phase === 'Armed' ? Date.now() + 60_000 : Date.now() - 1_000;
  await world.apply(name, { opensAt, closesAt: opensAt + 60_000, ...spec });
  await world.until(operator, name, is(phase));
  return [name, operator];
}

/** Ends a sale so that it does not take part in the tests that follow. */
async function ended(name: string, operator: Operator): Promise<void> {
  await world.delete(name);
  for (let passes = 0; (await world.status(name)) !== undefined; passes++) {
    assert.ok(passes < 100, 'gone in time');
    await work(name)();
    await operator.pass();
  }
}

test('a sale opens by the clock, sells, drains and is proven, and its conditions and metrics tell so', async () => {
  const name = fresh();
  const operator = world.operator();
  const opensAt = Date.now() + 400;
  await world.apply(name, { opensAt, closesAt: opensAt + 60_000 });
  const armed = await world.until(operator, name, is('Armed'));
  assert.equal(condition(armed, 'StockWarm').status, 'True');
  assert.deepEqual(new Set(await world.buy(name, 1)), new Set(['notOpen']));

  // Nobody is alive at the opening.
  await new Promise((resolve) => setTimeout(resolve, opensAt - Date.now() + 20));
  assert.deepEqual(await world.buy(name, 2), ['reserved', 'reserved']);
  const later = world.operator();
  await world.until(later, name, is('Open'));
  await world.apply(name, { opensAt, closesAt: opensAt + 500 });
  const closed = await world.until(later, name, (status) => status.proof !== undefined, work(name));
  assert.equal(closed.phase, 'Closed');
  assert.deepEqual([closed.proof?.holds, closed.proof?.sold, closed.proof?.problems], [true, 2, []]);
  assert.deepEqual(closed.conditions.map(({ type }) => type).toSorted(), [...CONDITIONS].toSorted());
  assert.equal(condition(closed, 'Accepted').status, 'True');
  const told = await world.until(later, name, (status) => condition(status, 'Reconciled').status === 'True');
  assert.match(condition(told, 'Reconciled').message, /^2 of 10 units sold/);

  const metrics = await register.metrics();
  assert.match(metrics, new RegExp(`flashsale_phase\\{sale="${name}",phase="Closed"\\} 1`));
  assert.match(metrics, new RegExp(`flashsale_stock\\{sale="${name}",sku="${SKU}",state="sold"\\} 2`));
  assert.match(metrics, /controller_runtime_reconcile_total\{controller="flashsale",result="requeue_after"\} \d+/);
  await ended(name, later);
  assert.doesNotMatch(await register.metrics(), new RegExp(`sale="${name}"`));
});

test('what happens at the opening where a workload is missing: Delay waits, Open opens, Abort ends', async () => {
  const scale = [{ ...NOWHERE, target: { ...NOWHERE.target, name: 'yet-to-come' } }];
  const [delayed, operator] = await brought('Warming', { opensAt: Date.now() - 10, scale });
  const status = await world.until(operator, delayed, (found) => /opens as soon as it is ready/.test(found.message));
  assert.equal(condition(status, 'ConsumersReady').message, 'there is no Deployment/yet-to-come');
  assert.deepEqual(await world.buy(delayed, 1), ['paused']);
  const opened = await brought('Open', { notReady: 'Open', scale });
  assert.deepEqual(await world.buy(opened[0], 1), ['reserved']);
  const aborted = await brought('Aborted', { notReady: 'Abort', scale });
  assert.deepEqual(await world.buy(aborted[0], 1), ['closed']);

  // The workload comes: the delayed sale opens.
  world.replicas.set('Deployment/yet-to-come', { desired: 1, ready: 1 });
  await world.until(operator, delayed, is('Open'));
  assert.deepEqual(await world.buy(delayed, 1), ['reserved']);
  for (const name of [delayed, opened[0], aborted[0]]) await ended(name, operator);
  assert.deepEqual(world.replicas.get('Deployment/yet-to-come'), { desired: 1, ready: 1 }, 'as it was found');
});

test('a pause shuts the gate and is published, and its end opens it again', async () => {
  const [name, operator] = await brought('Open');
  const window = await windowOf(name);
  const edit = (paused: boolean) => world.apply(name, { ...window, paused });
  await edit(true);
  await operator.pass();
  assert.deepEqual(await world.buy(name, 1), ['paused']);
  assert.equal((await world.published(name))?.paused, true);
  assert.equal(condition(await world.status(name), 'Paused').status, 'True');
  await edit(false);
  await operator.pass();
  assert.deepEqual(await world.buy(name, 1), ['reserved']);
  await ended(name, operator);
});

test('edits of an open sale: stock up and down, the closing moved, an invalid one refused in words', async () => {
  const [name, operator] = await brought('Open');
  const window = await windowOf(name);
  const edit = (spec: object) => world.apply(name, { ...window, ...spec });
  assert.deepEqual(await world.buy(name, 4), Array(4).fill('reserved'));

  await edit({ items: [itemOf(15)] });
  const raised = await world.until(operator, name, (status) => status.items[0]?.stock === 15);
  assert.deepEqual([level(raised).free, world.allocations.get(name)?.get(SKU)?.allocated], [11, 15]);

  await edit({ items: [itemOf(3)] });
  const refused = await world.until(operator, name, (status) => condition(status, 'Accepted').status === 'False');
  assert.equal(
    condition(refused, 'Accepted').message,
    'spec.items.0.stock: write at least 4: so many are sold or in payment',
  );
  assert.deepEqual([refused.phase, refused.accepted?.items[0]?.stock], ['Open', 15]);
  assert.deepEqual(await world.buy(name, 1), ['reserved']);

  await edit({ items: [itemOf(6)] });
  for (let passes = 0; passes < 3; passes++) {
    await operator.pass();
    assert.deepEqual(await world.buy(name, 1), ['paused'], 'shut until all that was reserved is in the log');
  }
  const lowered = await world.until(
    operator,
    name,
    (status) => status.items[0]?.stock === 6,
    () => world.relay(name),
  );
  assert.deepEqual([level(lowered).free, level(lowered).held, lowered.epoch], [1, 5, 2]);
  await world.until(operator, name, () => world.allocations.get(name)?.get(SKU)?.allocated === 6);
  await world.until(operator, name, (status) => status.gate.includes('open'));
  // The unit is in one of two shards.
  assert.deepEqual((await world.buy(name, 2)).toSorted(), ['reserved', 'shardEmpty']);

  await edit({ items: [itemOf(6)], closesAt: Date.now() });
  const closed = await world.until(operator, name, (status) => status.proof !== undefined, work(name));
  assert.deepEqual([closed.proof?.problems, closed.proof?.sold], [[], 6]);
  await edit({ items: [itemOf(9)], closesAt: closed.accepted?.closesAt ?? 0 });
  const frozen = await world.until(operator, name, (status) => condition(status, 'Accepted').status === 'False');
  assert.match(condition(frozen, 'Accepted').message, /keep 6: the sale is Closed/);
  await ended(name, operator);
});

test('units bought while stock is being lowered stay bought, and the resource is told the least it can have', async () => {
  const [name] = await brought('Open');
  await world.buy(name, 4);
  await world.apply(name, { ...(await windowOf(name)), items: [itemOf(5)] });
  let bought: string[] = [];
  const operator = world.operator((deps) => ({
    ...deps,
    store: {
      ...deps.store,
      async configure(sale, epoch) {
        if (sale.name === name && bought.length === 0) bought = await world.buy(name, 2);
        return deps.store.configure(sale, epoch);
      },
    },
  }));
  const lowered = await world.until(
    operator,
    name,
    (status) => status.epoch === 2 && condition(status, 'Accepted').status === 'False',
    () => world.relay(name),
  );
  assert.deepEqual(bought, ['reserved', 'reserved']);
  assert.deepEqual(level(lowered), { sku: SKU, stock: 6, free: 0, held: 6, sold: 0 });
  assert.match(condition(lowered, 'Accepted').message, /write at least 6/);
  await world.until(operator, name, () => world.allocations.get(name)?.get(SKU)?.allocated === 6, work(name));
  await ended(name, operator);
  const paid = [...world.entries.values()].filter((entry) => entry.sale === name && entry.status === 'paid');
  assert.equal(paid.length, 6);
});

test('a sale is deleted in every phase, and nothing of it stays but its purchases', async () => {
  const scheduled = { opensAt: Date.now() + 7_200_000, closesAt: Date.now() + 7_300_000 };
  for (const [phase, spec] of [
    ['Scheduled', scheduled],
    ['Warming', { scale: [NOWHERE] }],
    ['Armed', {}],
    ['Open', {}],
    ['Aborted', { closesAt: Date.now() - 500 }],
  ] as const) {
    const [name, operator] = await brought(phase, spec);
    if (phase === 'Open') await world.buy(name, 3);
    await ended(name, operator);
    const left = await world.redis.command<string[]>('KEYS', `fs:{${name}:*`);
    assert.deepEqual([left, await world.published(name)], [[], undefined], phase);
    assert.deepEqual(
      [...world.entries.values()].filter((entry) => entry.sale === name).map(({ status }) => status),
      phase === 'Open' ? ['paid', 'paid', 'paid'] : [],
    );
  }
});

test('an open sale that is deleted drains first; a purchase at the instant of an abort is not lost', async () => {
  const [name, operator] = await brought('Open');
  await world.buy(name, 2);
  await world.delete(name);
  const draining = await world.until(operator, name, (status) => status.message === '2 units are in payment');
  assert.equal(draining.phase, 'Draining');
  assert.deepEqual(await world.buy(name, 1), ['closed']);
  await ended(name, operator);

  const soon = fresh();
  const opensAt = Date.now() + 60_000;
  await world.apply(soon, { opensAt, closesAt: opensAt + 60_000 });
  await world.until(operator, soon, is('Armed'));
  await world.delete(soon);
  // Somebody buys after the operator has read stock and before it shuts the gate.
  const slow = world.operator((deps) => ({
    ...deps,
    store: {
      ...deps.store,
      async close(...args) {
        const sale = await world.published(soon);
        if (sale && (await world.store.inspect(sale))?.items.get(SKU)?.held === 0) {
          await world.store.configure({ ...sale, opensAt: Date.now() - 1_000 }, sale.epoch);
          assert.deepEqual(await world.buy(soon, 1), ['reserved']);
        }
        return world.store.close(...args);
      },
    },
  }));
  const traded = await world.until(slow, soon, () => true);
  assert.equal(traded.phase, 'Draining');
  await ended(soon, slow);
  assert.deepEqual(
    [...world.entries.values()].filter(({ sale }) => sale === soon).map(({ status }) => status),
    ['paid'],
  );
});

test('a name that has sold is refused in plain words, in the status, and can be deleted again', async () => {
  const [name, operator] = await brought('Open');
  await world.buy(name, 1);
  await ended(name, operator);
  await world.apply(name, { closesAt: Date.now() + 60_000 });
  const refused = await world.until(operator, name, (status) => condition(status, 'Accepted').status === 'False');
  assert.equal(
    condition(refused, 'Accepted').message,
    `metadata.name: a sale named ${name} has sold before, and its purchases are kept: choose another name`,
  );
  assert.deepEqual([refused.epoch, await world.published(name)], [0, undefined]);
  assert.equal(world.allocations.get(name)?.get(SKU)?.sold, 1);
  await ended(name, operator);
  assert.equal([...world.entries.values()].filter(({ sale }) => sale === name).length, 1);
});

test('documents that are no sale get a status: unreadable, under a wrong name, or a name that is taken', async () => {
  const [name, operator] = await brought('Open');
  await world.apply(name, {}, 'other');
  await operator.pass();
  const second = await world.status(name, 'other');
  assert.equal(
    condition(second, 'Accepted').message,
    `metadata.name: a sale named ${name} is in namespace shop: choose another name`,
  );
  assert.equal(second?.conditions.length, CONDITIONS.length);
  await rm(join(world.folder, 'other'), { recursive: true });

  const wrong = fresh();
  await writeFile(world.path(wrong), 'a: [');
  await world.until(operator, wrong, (status) => /not valid YAML/.test(status.message));
  await world.apply(wrong, {});
  await copyFile(world.path(wrong), world.path(`${wrong}-b`));
  const misplaced = await world.until(operator, `${wrong}-b`, () => true);
  assert.equal(misplaced.message, `metadata.name: write ${wrong}-b, the name of its file`);
  await ended(`${wrong}-b`, operator);
  await ended(wrong, operator);
  await ended(name, operator);
});

test('a Redis that lost everything is rebuilt under a new epoch, in each phase', async () => {
  for (const phase of ['Armed', 'Open'] as const) {
    const [name, operator] = await brought(phase);
    if (phase === 'Open') {
      await world.buy(name, 3);
      await work(name)();
    }
    await flush();
    const back = await world.until(operator, name, (status) => status.epoch === 2 && status.phase === phase);
    assert.deepEqual([level(back).sold, level(back).free], phase === 'Open' ? [3, 7] : [0, 10]);
    await world.until(operator, name, (status) => status.gate.includes('open'));
    assert.equal((await world.published(name))?.epoch, 2);
    await ended(name, operator);
  }
});

test('a Redis lost while draining and after the proof: settled, proven, published, and provable again', async () => {
  const [name, operator] = await brought('Open');
  await world.buy(name, 2);
  await world.relay(name);
  const sale = await world.published(name);
  await world.apply(name, { opensAt: sale?.opensAt ?? 0, closesAt: Date.now() });
  await world.until(operator, name, is('Draining'));
  await flush();
  const closed = await world.until(operator, name, (status) => status.proof !== undefined, work(name));
  assert.deepEqual([closed.proof?.problems, closed.proof?.sold], [[], 2]);
  await flush();
  const again = await world.until(operator, name, (status) => status.epoch > closed.epoch);
  assert.deepEqual([again.phase, level(again).sold], ['Closed', 2]);
  await world.until(operator, name, () => true);
  assert.equal((await world.published(name))?.phase, 'Closed');
  await ended(name, operator);
});

test('what was paid for between the reading of the ledger and the rebuild is settled right after it', async () => {
  const [name] = await brought('Open');
  await world.buy(name, 1);
  await world.relay(name);
  await flush();
  // Orders had settled in the old Redis; its transaction ends while the operator rebuilds.
  const late = world.operator((deps) => ({
    ...deps,
    store: {
      ...deps.store,
      async rebuild(...args) {
        const [event] = (world.topics[TOPICS.purchases] ?? []).filter((one) => one.sale === name);
        assert.ok(event?.type === 'reserved');
        world.entries.set(event.id, { ...event, status: 'paid' });
        return deps.store.rebuild(...args);
      },
    },
  }));
  const back = await world.until(late, name, (status) => status.epoch === 2);
  assert.deepEqual([level(back).sold, level(back).held], [1, 0]);
  world.allocations.get(name)?.set(SKU, { allocated: 10, sold: 1 });
  world.topics[TOPICS.payments]?.push({
    ...(world.topics[TOPICS.purchases]?.at(-1) as object),
    type: 'paid',
    at: 1,
  } as never);
  await ended(name, late);
});

test('a reservation that reaches the log after the rebuild, too late to be charged, is ended before the proof', async () => {
  const [name, operator] = await brought('Open', { payment: { holdFor: '200ms' } });
  await world.buy(name, 1);
  const kept = await world.store.readOutbox(name, 1, 'slow-relay', 10, 0);
  const others = await world.store.readOutbox(name, 0, 'slow-relay', 10, 0);
  await flush();
  await world.until(operator, name, (status) => status.epoch === 2);
  await new Promise((resolve) => setTimeout(resolve, 250));
  for (const { topic, events } of [...kept, ...others]) world.topics[topic]?.push(...events);
  const sale = await world.published(name);
  await world.apply(name, { opensAt: sale?.opensAt ?? 0, closesAt: Date.now(), payment: { holdFor: '200ms' } });
  const closed = await world.until(operator, name, (status) => status.proof !== undefined, work(name));
  assert.deepEqual([closed.proof?.problems, closed.proof?.unsettled, closed.proof?.sold], [[], 0, 0]);
  const endings = [...world.entries.values()].filter((entry) => entry.sale === name).map(({ status }) => status);
  assert.deepEqual(endings, ['expired']);
  await ended(name, operator);
});

test('a ledger ahead of Redis is settled, and what Redis does not know is rebuilt with the gate shut', async () => {
  const [name, operator] = await brought('Open');
  await world.buy(name, 2);
  await work(name)();
  const sold = [...world.entries.values()].filter(({ sale }) => sale === name);
  assert.equal(sold.length, 2);
  // A failover to a replica that had not heard of them yet: the sale is as it was when it was warm.
  const sale = await world.published(name);
  assert.ok(sale);
  await world.store.purge(sale);
  await world.store.warm(sale, 1);
  const back = await world.until(
    operator,
    name,
    (status) => status.epoch === 2,
    () => world.relay(name),
  );
  assert.deepEqual([level(back).sold, level(back).free], [2, 8]);
  await ended(name, operator);
});

test('servers that are down are named in the status, and the sale goes on when they are back', async (t) => {
  const scale = [{ ...NOWHERE, target: { ...NOWHERE.target, name: 'till' } }];
  world.replicas.set('Deployment/till', { desired: 1, ready: 1 });
  const [name, operator] = await brought('Open', { scale });
  t.after(() => world.down.clear());
  for (const server of ['ledger', 'redis'] as const) {
    world.down.add(server);
    const told = await world.until(operator, name, (status) => status.message.includes(`the ${server} is down`));
    assert.equal(told.phase, 'Open');
    world.down.clear();
    await world.until(operator, name, (status) => status.message.startsWith('closes at'));
  }
  // Neither keeps the sale from its phase.
  world.down.add('workloads');
  const trouble = await world.until(operator, name, (status) => status.message.includes('the workloads is down'));
  assert.match(trouble.message, /^closes at .*Deployment\/till cannot be scaled/);
  world.down.add('log');
  const sale = await world.published(name);
  await world.apply(name, { opensAt: sale?.opensAt ?? 0, closesAt: Date.now(), scale });
  const draining = await world.until(operator, name, (status) => status.message.includes('the log is down'));
  assert.equal(draining.phase, 'Draining');
  world.down.clear();
  await world.until(operator, name, (status) => status.proof?.holds === true, work(name));
  await ended(name, operator);
});
