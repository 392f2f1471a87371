/** kill -9 of each process in turn in mid-rush: after its restart the proof holds and no confirmed purchase is lost. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually, TestPlatform } from './test-platform.ts';

const VICTIMS = [
  'checkout',
  'payments-1',
  'orders',
  'live',
  'operator',
  'storefront',
  'redis',
  'kafka',
  'postgres',
] as const;
const STOCK = 300;
const BUYERS = 1200;

let platform: TestPlatform;
before(async () => {
  platform = await TestPlatform.start();
});
after(() => platform.end());

for (const victim of VICTIMS) {
  test(`kill -9 of ${victim} in mid-rush`, { timeout: 240_000 }, async () => {
    const sale = `crash-${victim}`;
    await platform.apply(sale, { stock: STOCK });
    await platform.until(sale, 'Open', (status) => status.phase === 'Open');
    const crowd = platform.rush(sale, BUYERS);
    await eventually('a part of the stock is taken', 30_000, async () => {
      const status = await platform.status(sale);
      const taken = status?.items.reduce((units, level) => units + level.held + level.sold, 0) ?? 0;
      return taken > STOCK / 10 ? true : undefined;
    });
    const pid = platform.pidOf(victim);
    assert.ok(pid, `${victim} runs`);
    process.kill(pid, 'SIGKILL');

    const report = await crowd;
    const reborn = await eventually(`${victim} is back`, 60_000, () => Promise.resolve(platform.pidOf(victim)));
    assert.notEqual(reborn, pid);
    const proof = await platform.proof(sale);
    assert.deepEqual(proof.problems, []);
    assert.equal(report.unsettled, 0);
    assert.deepEqual(report.errorCodes, {});
    assert.equal(report.sold + report.refused + report.soldOut + report.other, BUYERS, 'one final answer each');
    // Every buyer who was told "yours" is in the ledger, and nobody is in it without being told.
    assert.equal(proof.sold, report.sold);
    assert.ok(proof.sold <= STOCK);
  });
}
