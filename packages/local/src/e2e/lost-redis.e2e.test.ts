/** FLUSHALL in mid-sale: buyers are asked to come back, the operator rebuilds under a new epoch, nothing is sold twice. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually, TestPlatform } from './test-platform.ts';

const STOCK = 400;

let platform: TestPlatform;
before(async () => {
  platform = await TestPlatform.start();
});
after(() => platform.end());

test('selling resumes within 10 s after Redis lost everything, with 0 oversold', { timeout: 240_000 }, async () => {
  await platform.apply('flushed', { stock: STOCK });
  const opened = await platform.until('flushed', 'Open', (status) => status.phase === 'Open');
  const crowd = platform.rush('flushed', 1600);
  await eventually('a part of the stock is sold', 60_000, async () => {
    const status = await platform.status('flushed');
    const sold = status?.items.reduce((units, level) => units + level.sold, 0) ?? 0;
    return sold > STOCK / 10 ? true : undefined;
  });
  await platform.redis.command('FLUSHALL');
  const flushedAt = Date.now();

  const rebuilt = await platform.until('flushed', 'rebuilt', (status) => status.epoch > opened.epoch, 10_000);
  assert.equal(rebuilt.epoch, opened.epoch + 1);
  await eventually('stock is back', 10_000, async () => {
    const sale = rebuilt.accepted;
    const found = sale && (await platform.store.inspect(sale).catch(() => undefined));
    return found?.epoch === rebuilt.epoch ? true : undefined;
  });
  assert.ok(Date.now() - flushedAt < 10_000, 'within 10 s');

  const report = await crowd;
  assert.equal(report.unsettled, 0);
  assert.deepEqual(report.errorCodes, {});
  assert.ok(report.retries > 0, 'buyers were asked to come back');
  const proof = await platform.proof('flushed');
  assert.deepEqual(proof.problems, []);
  assert.equal(proof.oversold, 0);
  assert.ok(proof.sold <= STOCK);
  assert.ok(proof.sold >= report.sold, 'who was told "yours" has it');
});
