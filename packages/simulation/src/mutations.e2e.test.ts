/** Known bugs, planted one at a time: each is found within a bounded number of seeds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MUTATIONS } from './mutations.ts';
import { runSeeds } from './seeds.ts';

for (const { name, within } of MUTATIONS) {
  test(`found within ${within} seeds: ${name}`, { timeout: 600_000 }, async (t) => {
    const { failures } = await runSeeds({ from: 1, count: within, mutation: name, mostFailures: 1 });
    const [first] = failures;
    assert.ok(first, 'no seed shows it');
    t.diagnostic(`seed ${first.seed}: ${first.violation.split('\n', 1)[0]}`);
  });
}
