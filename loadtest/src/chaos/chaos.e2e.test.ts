/** A handful of the faults of `npm run chaos`, with a small crowd: after each, the proof holds and everything is sold. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { REPO } from '@flashsale/local/paths';
import { faultsNamed } from './faults.ts';
import { Ground } from './ground.ts';
import { openPulse, PULSE } from './recovery.ts';
import { runFault } from './run-fault.ts';

const CROWD = { buyers: 320, stock: 80, concurrency: 32, holdFor: '20s' };
const QUICK = [
  'redis: half-open',
  'kafka: every connection reset',
  'postgres: SIGSTOP',
  'log: poison',
  'log: both topics replayed',
  'redis: a replica promoted',
];

let ground: Ground;
before(async () => {
  ground = await Ground.start();
  await openPulse(ground.platform);
});
after(() => ground.end());

for (const [i, fault] of faultsNamed(QUICK).entries()) {
  test(fault.name, { timeout: 180_000 }, async () => {
    const row = await runFault(ground, fault, `fault-${i}`, CROWD);
    assert.deepEqual(row.problems, []);
    assert.deepEqual([row.oversold, row.lost, row.unsettled, row.leftOver], [0, 0, 0, 0]);
  });
}

test('records that hold no event do not spoil what `flashsale proof -o json` prints', async () => {
  const main = join(REPO, 'packages/local/src/main.ts');
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [main, 'proof', PULSE, '-o', 'json']);
  assert.equal((JSON.parse(stdout) as { holds: boolean }).holds, true);
  assert.match(stderr, /a record holds no event/);
});

test('a fault that is not there is an error', () => {
  assert.throws(() => faultsNamed(['redis: half-open', 'a flood']), RangeError);
});
