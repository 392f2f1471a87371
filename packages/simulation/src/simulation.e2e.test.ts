/** 10,000 simulated sales, each with faults of its own: everything stays exact, and everything comes to its end. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planOf } from './plan.ts';
import { explain } from './report.ts';
import { runSeeds } from './seeds.ts';
import { simulate } from './simulate.ts';

const SEEDS = 10_000;

test('the same seed is the same simulation, step by step', async () => {
  const traceOf = async (seed: number): Promise<readonly string[]> =>
    (await simulate(planOf(seed), { tracing: true })).trace;
  for (const seed of [3, 63, 1_725]) {
    const trace = await traceOf(seed);
    assert.ok(trace.length > 100);
    assert.deepEqual(await traceOf(seed), trace);
  }
});

test(`${SEEDS} seeds`, { timeout: 900_000 }, async (t) => {
  const { ran, steps, failures } = await runSeeds({ from: 1, count: SEEDS, mostFailures: 1 });
  const [failure] = failures;
  if (failure) assert.fail(await explain(failure.seed));
  assert.equal(ran, SEEDS);
  t.diagnostic(`${steps} steps`);
});
