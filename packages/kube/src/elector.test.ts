/** Leader election in simulated time: never two at once within the clock-rate bound, and always one again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DEFAULT_TIMING, Elector } from './elector.ts';
import { apiOf, LeaseServer, Machine, type Faults } from './elector-world.fixture.ts';
import { generator } from './random.fixture.ts';
import { silent, World } from './world.fixture.ts';

interface Setting {
  readonly seed: number;
  readonly rates: readonly number[];
  readonly faults: Faults;
  readonly pauses: readonly { readonly who: number; readonly after: number; readonly length: number }[];
}

/** Runs the electors for four minutes with faults, then two without. */
async function simulate({ seed, rates, faults, pauses }: Setting) {
  const random = generator(seed);
  const world = new World(random);
  const server = new LeaseServer();
  const now = { ...faults };
  const machines = rates.map((rate, i) => new Machine({ name: `m${i}`, rate, world, server, faults: now, random }));
  for (const { who, after, length } of pauses) {
    const machine = machines[who % machines.length];
    world.after(after, () => (machine ? (machine.process.pausedUntil = world.now + length) : 0));
  }
  let most = 0;
  const look = (): void => {
    most = Math.max(most, machines.filter((machine) => machine.leads()).length);
  };
  await world.run(240_000, look);
  now.latencyMs = 50;
  now.loss = 0;
  await world.run(120_000, look);
  const tokens = machines.flatMap((machine) => machine.tenures.map(({ token }) => token));
  return { most, leaders: machines.filter((machine) => machine.leads()).length, tokens, machines };
}

const setting = fc.record({
  seed: fc.integer(),
  // The fastest is 1.4 times as fast as the slowest at most; the bound is 1.5.
  rates: fc.array(fc.double({ min: 0.85, max: 1.19, noNaN: true }), { minLength: 2, maxLength: 4 }),
  faults: fc.record({
    latencyMs: fc.integer({ min: 1, max: 6000 }),
    loss: fc.double({ min: 0, max: 0.5, noNaN: true }),
  }),
  pauses: fc.array(fc.record({ who: fc.nat(3), after: fc.nat(240_000), length: fc.integer({ min: 1, max: 60_000 }) }), {
    maxLength: 6,
  }),
});

test('never two at once, a token never twice, and one leads again when the faults are over', async () => {
  let tenures = 0;
  await fc.assert(
    fc.asyncProperty(setting, async (chosen) => {
      const { most, leaders, tokens } = await simulate(chosen);
      assert.ok(most <= 1, `${most} led at once`);
      assert.equal(leaders, 1);
      assert.equal(new Set(tokens).size, tokens.length);
      tenures += tokens.length;
    }),
    { numRuns: 150 },
  );
  // The leadership did move: otherwise nothing was tried.
  assert.ok(tenures > 300, `${tenures} tenures`);
});

test('clocks that differ by more than the bound are caught by this simulation', async () => {
  const faults = { latencyMs: 3000, loss: 0.5 };
  let twoAtOnce = 0;
  for (let seed = 1; seed <= 40; seed += 1) {
    const { most } = await simulate({ seed, rates: [0.5, 2, 2], faults, pauses: [] });
    if (most > 1) twoAtOnce += 1;
  }
  assert.ok(twoAtOnce > 0);
});

test('a stopped leader gives the lease back and another leads within a retry', async () => {
  const world = new World(generator(7));
  const server = new LeaseServer();
  const faults = { latencyMs: 10, loss: 0 };
  const machine = (name: string): Machine =>
    new Machine({ name, rate: 1, world, server, faults, random: generator(name.length) });
  const first = machine('a');
  await world.run(100);
  assert.ok(first.leads());
  const second = machine('bb');
  await world.run(5000);
  assert.ok(!second.leads());
  const stopped = first.elector.stop();
  await world.run(DEFAULT_TIMING.retryMs * 1.2 + 100);
  await stopped;
  assert.ok(second.leads());
  assert.equal(first.tenures[0]?.signal.aborted, true);
  const [before, after] = [first, second].map(({ tenures }) => tenures[0]?.token ?? NaN);
  assert.ok((before ?? NaN) < (after ?? NaN), `${before} before ${after}`);
});

test('a process that stood still knows at once, before any timer, that it leads no more', async () => {
  const world = new World(generator(3));
  const server = new LeaseServer();
  const faults = { latencyMs: 10, loss: 0 };
  const options = { rate: 1, world, server, faults, random: generator(1) };
  const first = new Machine({ ...options, name: 'first' });
  await world.run(1000);
  const second = new Machine({ ...options, name: 'second' });
  const leadership = first.tenures[0];
  first.process.pausedUntil = world.now + 60_000;
  await world.run(30_000);
  assert.equal(leadership?.holds(), false);
  assert.equal(leadership.signal.aborted, false, 'its timers have not run yet');
  assert.ok(second.leads());
  await world.run(31_000);
  assert.equal(leadership.signal.aborted, true);
});

test('a lease that somebody deleted keeps its count; a standby stands only when it is warm', async () => {
  const world = new World(generator(5));
  const server = new LeaseServer();
  const warm = Promise.withResolvers<undefined>();
  const tokens: number[] = [];
  const elector = new Elector({
    lease: { name: 'lease', namespace: 'test' },
    identity: 'one',
    api: apiOf(server),
    log: silent,
    clock: world.clock(),
    warm: () => warm.promise,
    onLeading: ({ token }) => tokens.push(token),
    onLost: () => assert.fail('it leads on'),
  });
  await elector.start();
  await world.run(10_000);
  assert.equal(server.lease, undefined);
  server.create({
    metadata: { name: 'lease' },
    spec: { holderIdentity: 'gone', leaseDurationSeconds: 15, leaseTransitions: 4 },
  });
  warm.resolve(undefined);
  await world.run(14_000);
  assert.equal(elector.leads(), false);
  await world.run(5000);
  assert.deepEqual(tokens, [2], 'the version of the write that won');
  assert.equal(server.get().spec?.leaseTransitions, 5);
  server.lease = undefined;
  await world.run(5000);
  assert.equal(elector.leads(), true);
  assert.equal(server.get().spec?.leaseTransitions, 5);
  const stopped = elector.stop();
  await world.run(100);
  await stopped;
});

test('a lease that is deleted, and made anew by who never saw it, gives no token twice', async () => {
  const world = new World(generator(9));
  const server = new LeaseServer();
  const options = { rate: 1, world, server, faults: { latencyMs: 10, loss: 0 }, random: generator(2) };
  const first = new Machine({ ...options, name: 'first' });
  await world.run(10_000);
  first.process.pausedUntil = world.now + 600_000;
  server.lease = undefined;
  const second = new Machine({ ...options, name: 'second' });
  await world.run(10_000);
  assert.equal(server.get().spec?.leaseTransitions, 0, 'it begins anew');
  const [before, after] = [first, second].map(({ tenures }) => tenures[0]?.token ?? NaN);
  assert.ok((before ?? NaN) < (after ?? NaN), `${before} before ${after}`);
});

test('a lease that went back to an older state tells that the cluster was restored, once', async () => {
  const world = new World(generator(11));
  const server = new LeaseServer();
  const restored: number[] = [];
  const elector = new Elector({
    lease: { name: 'lease', namespace: 'test' },
    identity: 'one',
    api: apiOf(server),
    log: silent,
    clock: world.clock(),
    onLeading: () => undefined,
    onLost: () => assert.fail('it leads on'),
    onRestored: () => restored.push(world.now),
  });
  await elector.start();
  await world.run(10_000);
  const backup = server.backup();
  await world.run(30_000);
  assert.equal(restored.length, 0);
  server.restore(backup);
  const at = world.now;
  await world.run(30_000);
  assert.equal(restored.length, 1);
  assert.ok((restored[0] ?? Infinity) - at <= DEFAULT_TIMING.retryMs * 1.2);
  assert.equal(elector.leads(), true);
  const stopped = elector.stop();
  await world.run(100);
  await stopped;
});
