/** The load tests on the whole platform, as a user types them: a smoke run with its report, and a match with a naive shop. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { TestPlatform } from '@flashsale/local/e2e/test-platform';
import { stateHome } from '@flashsale/local/paths';
import { internalClient } from '@flashsale/platform/http';
import type { LoadRun } from './load-run.ts';
import type { ShopResult } from './peers-result.ts';

const run = promisify(execFile);
/** What it prints. Rejects where it ends with another code than 0. */
const node = async (file: string, ...args: string[]): Promise<string> =>
  (await run(process.execPath, [join(import.meta.dirname, file), ...args], { maxBuffer: 16 * 1024 * 1024 })).stdout;

let platform: TestPlatform;
before(async () => {
  platform = await TestPlatform.start();
});
after(() => platform.end());

test('a smoke run: every threshold is held, and the report says so', { timeout: 120_000 }, async () => {
  const first = JSON.parse(await node('load.ts', 'smoke', '-o', 'json')) as LoadRun;
  assert.deepEqual(
    first.verdicts.filter(({ held }) => !held),
    [],
  );
  assert.deepEqual(first.outcomes, { reserved: 10, sold_out: 10 });
  assert.equal(first.proof.sold, 10);
  assert.equal(first.slices.at(-1)?.remaining, 0);
  const html = await readFile(join(stateHome(), 'load', 'smoke.html'), 'utf8');
  assert.match(html, /all 7 thresholds held/);
});

test(
  'buyers who cannot pay: the thresholds that say so are missed, with exit code 1',
  { timeout: 90_000 },
  async () => {
    await takeCreditOfNextBuyers(6);
    const failed = await node('load.ts', 'smoke', '--buyers', '6', '--rate', '6').catch((error: unknown) => error);
    const { code, stdout } = failed as { code: number; stdout: string };
    assert.equal(code, 1);
    assert.match(stdout, /^sold +0 += 3 +MISSED$/m);
    assert.match(stdout, /^answers and endings .*MISSED$/m);
    assert.match(stdout, /^oversold +0 += 0 +held$/m);
    assert.match(stdout, /buyers was 20, is 6/, 'compared with the run before');
    assert.match(stdout, /holds: true\n$/);
  },
);

test('the naive shop oversells and we do not, with the same crowd', { timeout: 120_000 }, async () => {
  const shop = join(import.meta.dirname, '../peers/naive-shop');
  const peer = ['--folder', shop, '--start', `exec ${process.execPath} shop.ts`, '--adapter', join(shop, 'adapter.ts')];
  const size = ['--buyers', '200', '--stock', '50', '--rounds', '1', '--concurrency', '32'];
  const [us, naive] = JSON.parse(await node('peers.ts', ...peer, ...size, '-o', 'json')) as ShopResult[];
  assert.ok(us && naive);
  assert.deepEqual(
    { bought: us.bought, turnedAway: us.turnedAway, oversold: us.oversold, lost: us.lost, failed: us.failed },
    { bought: 50, turnedAway: 150, oversold: 0, lost: 0, failed: 0 },
  );
  assert.ok(naive.oversold > 0, 'it reads, compares and writes back');
  assert.equal(naive.bought + naive.turnedAway + naive.failed + naive.unanswered, 200);
  for (const { purchasesPerCpuSecond, p50Ms, p99Ms } of [us, naive]) {
    assert.ok(purchasesPerCpuSecond > 0 && p50Ms > 0 && p99Ms >= p50Ms);
  }
});

/** The test buyers who come next have nothing to pay with. */
async function takeCreditOfNextBuyers(count: number): Promise<void> {
  const { dataDir, urls } = platform.running;
  const from = Number(await readFile(join(dataDir, 'next-buyer'), 'utf8'));
  const accounts = Array.from({ length: count }, (_, i) => ({ buyer: `buyer-${from + i}`, creditMinor: 0 }));
  await internalClient(urls['PAYMENTS_URL'] ?? '').text('PUT', '/internal/accounts', { accounts });
}
