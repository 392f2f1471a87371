/** The platform on a Redis Cluster: shards move and a master dies in mid-rush; nothing is oversold, and all is sold. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { CLUSTER_FAULTS } from './cluster-faults.ts';
import { Ground } from './ground.ts';
import { openPulse } from './recovery.ts';
import { runFault } from './run-fault.ts';

const CROWD = { buyers: 400, stock: 100, concurrency: 32 };

let ground: Ground;
before(async () => {
  ground = await Ground.start('cluster');
  await openPulse(ground.platform);
});
after(() => ground.end());

for (const [i, fault] of CLUSTER_FAULTS.entries()) {
  test(fault.name, { timeout: 180_000 }, async () => {
    const row = await runFault(ground, fault, `cluster-${i}`, CROWD);
    assert.deepEqual(row.problems, []);
    assert.deepEqual([row.oversold, row.lost, row.unsettled, row.leftOver], [0, 0, 0, 0]);
  });
}
