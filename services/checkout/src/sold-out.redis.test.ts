/** Sold out from memory, where another process sells what came back: nobody who has a unit is told that he has none. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testRedis } from '@flashsale/local/testing';
import { homeShard, parsePurchaseId, purchaseId } from '@flashsale/sale';
import { purchaseDigest } from './purchase-request.ts';
import { randomSaleName, startTestCheckout } from './test-checkout.ts';
import { testItem, testSale } from './test-sale.ts';

const SKU = 'air-zero-42';

test('a unit that came back and was sold in another process is not sold out for its buyer here', async (t) => {
  let asked = 0;
  const checkout = await startTestCheckout(await testRedis(), (store) => ({
    ...store,
    reserve: (sale, at, batch) => {
      asked++;
      return store.reserve(sale, at, batch);
    },
  }));
  t.after(() => checkout.stop());
  const sale = testSale(randomSaleName(), { items: [testItem(SKU, { stock: 1 })] });
  await checkout.open(sale);
  const buy = async (buyer: number, key: string): Promise<Record<string, unknown>> => {
    const response = await fetch(`${checkout.url}/api/v1/sales/${sale.name}/purchases`, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${await checkout.issuer.token(buyer)}`,
        'Idempotency-Key': key,
        'Content-Type': 'application/json',
      },
      body: JSON.stringify({ sku: SKU, quantity: 1 }),
    });
    return (await response.json()) as Record<string, unknown>;
  };
  const id = String((await buy(1, 'first'))['id']);
  const until = Date.now() + 5_000;
  // Until memory answers: then a refusal no longer reaches Redis.
  for (let before = -1, n = 0; before !== asked; n++) {
    before = asked;
    assert.equal((await buy(2, `k${n}`))['code'], 'sold_out');
    assert.ok(Date.now() < until);
  }

  // Its payment is refused. The other process sells the unit again, and its answer to the buyer is lost.
  const { store } = checkout;
  const at = { sale: sale.name, shard: parsePurchaseId(id)?.shard ?? 0, sku: SKU };
  const returned = Promise.withResolvers<undefined>();
  const onMessage = (text: string): void => {
    // Checkout listens on the same connection and was there first.
    if (text.includes('"returned"') && text.includes(sale.name)) returned.resolve(undefined);
  };
  await checkout.redis.subscriber.listen('fs:broadcast', { onMessage, onReset: () => undefined });
  assert.equal((await store.release(at, [{ id, status: 'refused', epoch: sale.epoch }]))[0]?.code, 'done');
  await returned.promise;
  const buyer = { id: 'buyer-3', number: 3 };
  const home = { ...at, shard: homeShard(buyer.id, sale.warm.shards) };
  const mine = purchaseId(sale.name, home.shard, purchaseDigest(buyer.id, 'mine'));
  await store.borrow(sale, home, 1);
  const request = { id: mine, buyer, quantity: 1, correlationId: 'c' };
  assert.equal((await store.reserve(sale, home, [request]))[0]?.code, 'reserved');

  assert.equal((await buy(2, 'again'))['code'], 'sold_out');
  assert.equal((await buy(3, 'mine'))['id'], mine);
});
