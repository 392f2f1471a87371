/** An operator that dies before and after any of its calls, and a Redis or a status that is lost: the sale ends exact all the same. */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { freePort, startRedis, testFolder, type RunningServer } from '@flashsale/local/testing';
import type { Sale, SaleStore } from '@flashsale/sale';
import fc from 'fast-check';
import { KnownSales } from './known-sales.ts';
import type { OperatorDeps } from './scope.ts';
import type { SaleStatus } from './status.ts';
import { before as look, itemOf, World, type Operator } from './world.fixture.ts';

const STOCK = 6;
const SPEC = { items: [itemOf(STOCK)], payment: { holdFor: '30ms' } };
const MOST_PASSES = 400;

let server: RunningServer;
let world: World;
before(async () => {
  // Its own: everything in it is lost again and again.
  server = await startRedis({ dataDir: join(testFolder(), 'redis-crashes'), port: await freePort(), durable: false });
  world = await World.start(server.url);
});
after(async () => {
  await world.stop();
  await server.stop();
});

/** Dies at its `calls`-th look, and stays dead. */
class Life {
  #left: number;
  constructor(calls: number) {
    this.#left = calls;
  }
  get dead(): boolean {
    return this.#left <= 0;
  }
  readonly look = (): void => {
    this.#left -= 1;
    if (this.dead) throw new Error('the operator has died');
  };
}

/** Every port looks before and after each call whether the operator lives; `loads` hears of stock that is loaded. */
function mortal(life: Life, loads: (epoch: number) => void) {
  return (deps: OperatorDeps): OperatorDeps => {
    const noted: SaleStore = {
      ...deps.store,
      warm: (sale: Sale, epoch: number) => {
        loads(epoch);
        return deps.store.warm(sale, epoch);
      },
      rebuild: (sale, epoch, holds) => {
        loads(epoch);
        return deps.store.rebuild(sale, epoch, holds);
      },
    };
    const store = look(noted, life.look, true);
    const ledger = look(deps.ledger, life.look, true);
    return {
      ...deps,
      store,
      ledger,
      resources: look(deps.resources, life.look, true),
      log: look(deps.log, life.look, true),
      workloads: look(deps.workloads, life.look, true),
      pages: look(deps.pages, life.look, true),
      known: new KnownSales({ store, ledger }),
    };
  };
}

const common = ['buy', 'buy', 'relay', 'consume', 'refuse', 'nothing'] as const;
/** What is lost besides operators: all of Redis, or the status. With both, only the ledger knows of the sale. */
const acts = (lost: 'flush' | 'forget') => fc.array(fc.constantFrom(...common, lost), { minLength: 10, maxLength: 60 });
let names = 0;

test('whatever dies when: Closed, conserved, no epoch twice', { timeout: 120_000 }, async () => {
  const property = fc.asyncProperty(
    fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 12 }),
    fc.oneof(acts('flush'), acts('forget')),
    async (lives, steps) => {
      const name = `crash-${++names}`;
      await world.apply(name, { ...SPEC, opensAt: Date.now() + 15 });
      const epochs = await live(name, lives, steps);
      await assertExact(name, epochs);
      await world.delete(name);
      const last = world.operator();
      for (let pass = 0; (await world.status(name)) !== undefined; pass++) {
        assert.ok(pass < MOST_PASSES, 'removed in time');
        await last.pass();
      }
    },
  );
  await fc.assert(property, { numRuns: 30 });
});

test('an epoch that was used before a crash is not used again, though Redis has lost it too', async () => {
  const name = 'used-epoch';
  await world.apply(name, SPEC);
  const first = world.operator();
  await world.until(first, name, (status) => status.phase === 'Open');
  await world.redis.command('FLUSHALL');
  let dead = false as boolean;
  const dying = world.operator((deps) => ({
    ...deps,
    store: {
      ...deps.store,
      rebuild: async (sale, epoch, holds) => {
        await deps.store.rebuild(sale, epoch, holds);
        dead = true;
        throw new Error('the operator has died');
      },
    },
    resources: {
      ...deps.resources,
      writeStatus: (resource, status) =>
        dead ? Promise.reject(new Error('dead')) : deps.resources.writeStatus(resource, status),
    },
  }));
  await dying.pass();
  assert.ok(dead);
  await world.redis.command('FLUSHALL');
  const back = await world.until(world.operator(), name, (status) => status.epoch > 2);
  assert.equal(back.epoch, 3);
});

/** Runs the sale to its end under operators that die one after the other; resolves to the epochs of loaded stock. */
async function live(name: string, lives: readonly number[], steps: readonly string[]): Promise<number[]> {
  const epochs: number[] = [];
  let died = 0;
  const start = (): { life: Life; operator: Operator } => {
    const life = new Life(lives[died++] ?? Infinity);
    return { life, operator: world.operator(mortal(life, (epoch) => epochs.push(epoch))) };
  };
  let current = start();
  for (let pass = 0; pass < MOST_PASSES; pass++) {
    await act(name, steps[pass] ?? 'end');
    if (pass >= steps.length) await close(name);
    await current.operator.pass().catch(() => undefined);
    if (current.life.dead) current = start();
    if (isOver(await world.status(name))) return epochs;
  }
  throw new Error(`never closed: ${JSON.stringify(await world.status(name))}`);
}

/** Moves the closing of an open sale to now. */
async function close(name: string): Promise<void> {
  const sale = (await world.status(name))?.accepted;
  if (sale && (await world.status(name))?.phase === 'Open') {
    await world.apply(name, { ...SPEC, opensAt: sale.opensAt, closesAt: Date.now() });
  }
}

/** Aborted: it never opened, since the operator died too often. */
const isOver = (status: SaleStatus | undefined): boolean =>
  status?.phase === 'Aborted' || (status?.phase === 'Closed' && status.proof !== undefined);

async function act(name: string, step: string): Promise<void> {
  // Buyers and services meet a Redis that is not warm, and try again later.
  if (step === 'buy') await world.buy(name, 2).catch(() => undefined);
  if (step === 'relay') await world.relay(name);
  if (step === 'consume') await world.consume();
  if (step === 'refuse') await world.consume(() => 'refused');
  if (step === 'flush') await world.redis.command('FLUSHALL');
  if (step === 'forget') await rm(world.path(name, '.status.json'), { force: true });
  if (step !== 'end') return;
  await world.relay(name);
  await world.consume();
}

async function assertExact(name: string, epochs: readonly number[]): Promise<void> {
  const status = await world.status(name);
  const entries = [...world.entries.values()].filter((entry) => entry.sale === name);
  const sold = entries.filter((entry) => entry.status === 'paid').length;
  assert.ok(sold <= STOCK);
  assert.deepEqual(
    epochs,
    [...new Set(epochs)].toSorted((a, b) => a - b),
    'each epoch once, and each higher than the one before',
  );
  if (status?.phase === 'Aborted') {
    assert.equal(sold, 0);
    return;
  }
  assert.deepEqual(status?.proof?.problems, []);
  assert.equal(status.proof.sold, sold);
  const [level] = status.items;
  assert.ok(level);
  assert.equal(level.free + level.held + level.sold, STOCK);
  assert.equal(level.sold, sold);
  assert.deepEqual(
    entries.filter((entry) => entry.status === 'reserved'),
    [],
  );
}
