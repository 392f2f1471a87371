/** The proof on the real stores: it holds for a sound sale, and finds each fault that is planted into one of them. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { encodeHold, keys, type Hold } from '@flashsale/sale';
import { postgresQuery } from '../probe.ts';
import { TestPlatform } from './test-platform.ts';

const STOCK = 20;

let platform: TestPlatform;
let sale: string;
let count = 0;
before(async () => {
  platform = await TestPlatform.start();
});
after(() => platform.end());
beforeEach(async () => {
  sale = `planted-${++count}`;
  await platform.apply(sale, { stock: STOCK });
  await platform.until(sale, 'Open', (status) => status.phase === 'Open');
  const { sold } = await platform.rush(sale, 60, 16);
  assert.equal(sold, STOCK);
});

const inLedger = (sql: string): Promise<string[]> =>
  postgresQuery(Number(new URL(platform.running.postgresUrl).port), 'orders', sql);

/** Writes a paid purchase into the ledger that nobody made: of `buyer`, under an id of its own. */
const plantSale = (buyer: string): Promise<string[]> =>
  inLedger(`INSERT INTO purchases
    SELECT '${sale}.0.${'x'.repeat(22)}', sale, sku, ${buyer}, NULL, quantity, amount_minor, currency, status, reserved_at, resolved_at, NULL, epoch
    FROM purchases WHERE sale = '${sale}' AND status = 'paid' LIMIT 1`);

test('a sound sale holds', async () => {
  const proof = await platform.proof(sale);
  assert.deepEqual(proof.problems, []);
  assert.deepEqual([proof.stock, proof.free, proof.held, proof.sold], [STOCK, 0, 0, STOCK]);
});

test('a planted oversell is found', async () => {
  await plantSale(`'nobody'`);
  const proof = await platform.proof(sale);
  assert.equal(proof.oversold, 1);
  assert.equal(proof.holds, false);
});

test('a planted double buyer is found', async () => {
  await plantSale('buyer');
  const proof = await platform.proof(sale);
  assert.equal(proof.doubleBuyers, 1);
  assert.equal(proof.holds, false);
});

test('a lost order is found', async () => {
  const [lost = ''] = await inLedger(`DELETE FROM purchases
    WHERE id = (SELECT id FROM purchases WHERE sale = '${sale}' AND status = 'paid' LIMIT 1) RETURNING id`);
  const proof = await platform.proof(sale);
  assert.equal(proof.holds, false);
  assert.ok(proof.problems.some((problem) => problem.startsWith(`${lost}: paid for in the log but missing`)));
});

test('a stuck hold is found', async () => {
  // Reserved long ago and on no list of the sweeper: nothing will ever end it.
  const id = `${sale}.0.${'s'.repeat(22)}`;
  const hold: Hold = { id, sku: 'shoe', quantity: 1, buyer: { id: 'nobody' }, status: 'reserved', expiresAt: 1000 };
  await platform.redis.command('HSET', keys.holds(sale, 0), id, encodeHold(hold, 1));
  const proof = await platform.proof(sale);
  assert.equal(proof.unsettled, 1);
  assert.equal(proof.holds, false);
  assert.ok(proof.problems.some((problem) => problem.startsWith(`${id}: without an ending`)));
});
