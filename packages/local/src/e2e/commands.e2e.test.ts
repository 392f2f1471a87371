/** The commands that need a running platform, as a user types them: what they print is a contract. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { TestPlatform } from './test-platform.ts';

const BIN = join(import.meta.dirname, '../../bin/flashsale.mjs');
const run = promisify(execFile);
/** Rejects where the command ends with another code than 0. */
const flashsale = async (...args: string[]): Promise<string> => (await run(process.execPath, [BIN, ...args])).stdout;

let platform: TestPlatform;
before(async () => {
  platform = await TestPlatform.start();
  await platform.apply('typed', { stock: 30 });
  await platform.until('typed', 'Armed', (status) => status.phase === 'Armed' || status.phase === 'Open');
});
after(() => platform.end());

test('rush and proof print their JSON and end with 0', { timeout: 120_000 }, async () => {
  const rushed = JSON.parse(await flashsale('rush', 'typed', '--buyers', '100', '--seed', '7', '-o', 'json')) as object;
  const { sale, buyers, seed, sold, errors, unsettled } = rushed as Record<string, unknown>;
  assert.deepEqual(
    { sale, buyers, seed, sold, errors, unsettled },
    { sale: 'typed', buyers: 100, seed: 7, sold: 30, errors: 0, unsettled: 0 },
  );
  for (const figure of ['refused', 'soldOut', 'p50Ms', 'p99Ms', 'perSecond']) assert.ok(figure in rushed, figure);
  const proof = JSON.parse(await flashsale('proof', 'typed', '-o', 'json')) as Record<string, unknown>;
  assert.equal(proof['holds'], true);
  const members = [
    'sale',
    'stock',
    'free',
    'held',
    'sold',
    'refunded',
    'oversold',
    'doubleBuyers',
    'unsettled',
    'holds',
  ];
  for (const member of members) assert.ok(member in proof, member);
});

test('the text of a rush ends with the proof', { timeout: 120_000 }, async () => {
  const text = await flashsale('rush', 'typed', '--buyers', '10');
  assert.match(text, /^Rush on typed: 10 buyers\n/);
  assert.match(text, /sold out +10 /);
  assert.match(text, /\nholds: true\n$/);
});

test('tokens are of different buyers, and never of the same again', async () => {
  const first = (await flashsale('tokens', '--count', '3')).trim().split('\n');
  const second = (await flashsale('tokens', '--count', '2')).trim().split('\n');
  const subjects = [...first, ...second].map((token) => claimsOf(token)['sub']);
  assert.equal(new Set(subjects).size, 5);
});

test('a members-only sale sells to who was admitted, and to nobody else', { timeout: 60_000 }, async () => {
  await platform.apply('club', { stock: 5, membersOnly: true });
  await platform.until('club', 'Open', (status) => status.phase === 'Open');
  const [member = '', stranger = ''] = (await flashsale('tokens', '--count', '2')).trim().split('\n');
  const file = join(platform.running.dataDir, 'members.txt');
  await writeFile(file, `${String(claimsOf(member)['num'])}\n`);
  assert.equal(await flashsale('members', 'club', '-f', file), '1 members may buy in club\n');
  assert.equal((await buy('club', member)).status, 202);
  const refused = await buy('club', stranger);
  assert.equal(refused.status, 403);
  assert.equal(((await refused.json()) as { code: string }).code, 'not_eligible');
  await assert.rejects(flashsale('members', 'typed', '-f', file), /is not for members only/);
});

test(
  'get shows the sale, redrive says how many letters went back, delete removes the sale',
  { timeout: 60_000 },
  async () => {
    assert.match(
      await flashsale('get'),
      /^NAME +PHASE +OPENS +STOCK +SOLD +LAG +READY +AGE\nclub +Open .*\ntyped +Open /,
    );
    const redriven = await flashsale('redrive', 'payments', 'flashsale.purchases');
    assert.equal(redriven, '0 dead letters of payments went back to flashsale.purchases\n');
    await flashsale('delete', 'typed');
    await flashsale('delete', 'club');
    assert.equal(await flashsale('get'), 'No FlashSales found.\n');
  },
);

function claimsOf(token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>;
}

function buy(sale: string, token: string): Promise<Response> {
  return fetch(`${platform.edge}/api/v1/sales/${sale}/purchases`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'idempotency-key': 'k', 'content-type': 'application/json' },
    body: JSON.stringify({ sku: 'shoe', quantity: 1 }),
  });
}
