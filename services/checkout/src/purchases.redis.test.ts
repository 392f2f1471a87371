/** Looking a purchase up: what the existence filter rules out costs nothing, and nothing is ruled out without it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testRedis } from '@flashsale/local/testing';
import { Existence, SaleError } from '@flashsale/sale';
import { randomSaleName, startTestCheckout } from './test-checkout.ts';
import { testSale } from './test-sale.ts';

test('a purchase of a sale that never was costs no look-up; one of a sale that is over is found', async (t) => {
  const holdsRead: string[] = [];
  let existence: Uint8Array | undefined;
  const checkout = await startTestCheckout(await testRedis(), (store) => ({
    ...store,
    hold: (id) => {
      holdsRead.push(id);
      return store.hold(id);
    },
    existence: () => Promise.resolve(existence),
  }));
  t.after(() => checkout.stop());
  const token = await checkout.issuer.token(9);
  const statusOf = async (id: string): Promise<unknown> => {
    const response = await fetch(`${checkout.url}/api/v1/purchases/${id}`, {
      headers: { Authorization: `Bearer ${token}` },
    });
    const body = (await response.json()) as Record<string, unknown>;
    return body['status'] === 404 ? body['code'] : body['status'];
  };

  const over = randomSaleName();
  const [gone, madeUp] = [over, randomSaleName()].map((sale) => `${sale}.0.${'x'.repeat(22)}`) as [string, string];
  const facts = { sale: over, sku: 'air-zero-42', buyer: 'buyer-9', quantity: 1 };
  checkout.ledger.set(gone, { ...facts, id: gone, status: 'paid', amountMinor: 1, currency: 'EUR', reservedAt: 1 });

  existence = Existence.of([{ name: over, items: [] }]).bytes;
  // Checkout reads the filter with the published sales.
  await checkout.open(testSale(randomSaleName()));
  assert.equal(await statusOf(madeUp), 'purchase_not_found');
  assert.deepEqual(holdsRead, []);
  assert.equal(await statusOf(gone), 'paid');

  existence = undefined;
  await checkout.open(testSale(randomSaleName()));
  assert.equal(await statusOf(madeUp), 'purchase_not_found');
  assert.deepEqual(holdsRead, [gone, madeUp]);
});

test('while Redis cannot be asked, a purchase is told from the ledger, or to ask later: never that there is none', async (t) => {
  let away = false;
  const checkout = await startTestCheckout(await testRedis(), (store) => ({
    ...store,
    hold: (id) => (away ? Promise.reject(new SaleError('try_again_later', 'away')) : store.hold(id)),
  }));
  t.after(() => checkout.stop());
  const sale = testSale(randomSaleName());
  await checkout.open(sale);
  const id = `${sale.name}.0.${'x'.repeat(22)}`;
  const ask = async (): Promise<[number, unknown]> => {
    const response = await fetch(`${checkout.url}/api/v1/purchases/${id}`, {
      headers: { Authorization: `Bearer ${await checkout.issuer.token(9)}` },
    });
    return [response.status, ((await response.json()) as Record<string, unknown>)['code']];
  };
  assert.deepEqual(await ask(), [404, 'purchase_not_found']);
  away = true;
  assert.deepEqual(await ask(), [503, 'try_again_later']);
  const facts = { sale: sale.name, sku: 'air-zero-42', buyer: 'buyer-9', quantity: 1 };
  checkout.ledger.set(id, { ...facts, id, status: 'paid', amountMinor: 1, currency: 'EUR', reservedAt: 1 });
  assert.deepEqual(await ask(), [200, undefined]);
});
