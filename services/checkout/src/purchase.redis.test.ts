/** Purchases over HTTP and a real Redis: every answer of the contract. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { testRedis } from '@flashsale/local/testing';
import type { ReserveRequest, SaleStore } from '@flashsale/sale';
import { randomSaleName, startTestCheckout, type TestCheckout } from './test-checkout.ts';
import { testItem, testSale } from './test-sale.ts';

let checkout: TestCheckout;
/** What happens to a reserve call of the checkout under test; the tests set it and set it back. */
let fault: ((run: () => ReturnType<SaleStore['reserve']>) => ReturnType<SaleStore['reserve']>) | undefined;
const reserveCalls: (readonly ReserveRequest[])[] = [];

before(async () => {
  checkout = await startTestCheckout(await testRedis(), (store) => ({
    ...store,
    reserve: (sale, at, batch) => {
      reserveCalls.push(batch);
      const run = () => store.reserve(sale, at, batch);
      return fault ? fault(run) : run();
    },
  }));
});
after(() => checkout.stop());

interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Record<string, unknown>;
}
let keys = 0;

interface Sent {
  readonly buyer?: number;
  readonly token?: string;
  readonly key?: string;
  readonly body?: unknown;
  readonly headers?: Record<string, string | undefined>;
}

async function buy(
  sale: string,
  { buyer = 1, token, key = `k${++keys}`, body, headers = {} }: Sent = {},
): Promise<Reply> {
  const all: Record<string, string | undefined> = {
    Authorization: `Bearer ${token ?? (await checkout.issuer.token(buyer))}`,
    'Idempotency-Key': key,
    'Content-Type': 'application/json',
    ...headers,
  };
  const present = Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const text = typeof body === 'string' ? body : JSON.stringify(body ?? { sku: 'air-zero-42', quantity: 1 });
  const response = await fetch(`${checkout.url}/api/v1/sales/${sale}/purchases`, {
    method: 'POST',
    headers: present,
    body: text,
  });
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Record<string, unknown>,
  };
}

async function get(path: string, buyer?: number): Promise<Reply> {
  const headers: Record<string, string> =
    buyer === undefined ? {} : { Authorization: `Bearer ${await checkout.issuer.token(buyer)}` };
  const response = await fetch(`${checkout.url}${path}`, { headers });
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Record<string, unknown>,
  };
}

async function openSale(changes: Parameters<typeof testSale>[1] = {}): Promise<string> {
  const name = randomSaleName();
  await checkout.open(testSale(name, changes));
  return name;
}

const field = (reply: Reply): unknown => (reply.body['errors'] as { field: string }[] | undefined)?.[0]?.field;

test('a purchase is reserved, can be read by its buyer only, and reaches the log', async () => {
  const sale = await openSale();
  const bought = await buy(sale, { buyer: 7, headers: { 'X-Correlation-Id': 'corr-7' } });
  assert.equal(bought.status, 202);
  const { id, expiresAt, ...rest } = bought.body;
  assert.deepEqual(rest, { sale, sku: 'air-zero-42', quantity: 1, status: 'reserved' });
  assert.match(String(id), new RegExp(`^${sale}\\.[01]\\.[\\w-]{22}$`));
  const left = Date.parse(String(expiresAt)) - Date.now();
  assert.ok(left > 110_000 && left <= 121_000, String(left));
  assert.equal(bought.headers.get('location'), `/api/v1/purchases/${String(id)}`);
  assert.equal(bought.headers.get('x-correlation-id'), 'corr-7');

  const path = `/api/v1/purchases/${String(id)}`;
  assert.deepEqual((await get(path, 7)).body, bought.body);
  const others = await get(path, 8);
  assert.equal(others.status, 404);
  assert.equal(others.body['code'], 'purchase_not_found');
  assert.equal((await get(path)).status, 401);
  assert.equal((await get('/api/v1/purchases/none', 7)).body['code'], 'purchase_not_found');

  await relayed(String(id));
  const event = checkout.sent.find((one) => one.event.id === id);
  assert.equal(event?.topic, 'flashsale.purchases');
  assert.equal(event.event.correlationId, 'corr-7');
  assert.equal(event.event.amountMinor, 12_900);
});

/** Waits for the relay's pass after the purchase; it is kicked, so this takes a moment and no more. */
async function relayed(id: string): Promise<void> {
  const until = Date.now() + 3_000;
  while (!checkout.sent.some(({ event }) => event.id === id)) {
    assert.ok(Date.now() < until, `${id} never left the outbox`);
    await new Promise(setImmediate);
  }
}

test('what is paid is told only once the ledger has it', async () => {
  const sale = await openSale();
  const { body } = await buy(sale, { buyer: 9, key: 'again' });
  const id = String(body['id']);
  const shard = Number(id.split('.')[1]);
  await checkout.store.settle({ sale, shard, sku: 'air-zero-42' }, [{ id, epoch: 1 }]);
  assert.partialDeepStrictEqual((await buy(sale, { buyer: 9, key: 'again' })).body, { id, status: 'reserved' });
  assert.equal((await get(`/api/v1/purchases/${id}`, 9)).body['status'], 'reserved');
  const entry = {
    id,
    sale,
    sku: 'air-zero-42',
    buyer: 'buyer-9',
    quantity: 1,
    ...{ amountMinor: 1, currency: 'EUR', reservedAt: 1 },
  };
  checkout.ledger.set(id, { ...entry, status: 'paid' });
  assert.equal((await get(`/api/v1/purchases/${id}`, 9)).body['status'], 'paid');
});

test('the same key gets the same answer, another body is refused, and nothing is sold twice', async () => {
  const sale = await openSale({ items: [testItem('air-zero-42', { perBuyer: 3 })] });
  const first = await buy(sale, { key: 'same' });
  const again = await buy(sale, { key: 'same' });
  assert.deepEqual(again.body, first.body);
  assert.equal(again.status, 202);
  const other = await buy(sale, { key: 'same', body: { sku: 'air-zero-42', quantity: 2 } });
  assert.equal(other.status, 422);
  assert.equal(other.body['code'], 'idempotency_key_reused');
  assert.equal(await free(sale), 9);
});

async function free(sale: string): Promise<number | undefined> {
  const listed = checkout.checkout.directory.find(sale);
  return (await checkout.store.inspect(listed.sale))?.items.get('air-zero-42')?.free;
}

test('a buyer gets no more than the limit', async () => {
  const sale = await openSale();
  assert.equal((await buy(sale)).status, 202);
  const second = await buy(sale);
  assert.equal(second.status, 409);
  assert.equal(second.body['code'], 'limit_reached');
});

test('sold out names what is still held; the winner keeps his answer; a returned unit is sold again at once', async () => {
  const sale = await openSale({ items: [testItem('air-zero-42', { stock: 3 })] });
  const bought = await Promise.all([1, 2, 3].map((buyer) => buy(sale, { buyer, key: 'mine' })));
  assert.deepEqual(
    bought.map(({ status }) => status),
    [202, 202, 202],
  );
  const refused = await Promise.all([4, 5, 6].map((buyer) => buy(sale, { buyer })));
  for (const { status, body } of refused) {
    assert.equal(status, 409);
    assert.equal(body['code'], 'sold_out');
    assert.equal(body['held'], 3);
  }
  assert.deepEqual((await buy(sale, { buyer: 2, key: 'mine' })).body, bought[1]?.body);

  const id = String(bought[0]?.body['id']);
  const returned = Promise.withResolvers<undefined>();
  const unsubscribe = await subscribeReturned(sale, () => returned.resolve(undefined));
  await checkout.store.release({ sale, shard: Number(id.split('.')[1]), sku: 'air-zero-42' }, [
    { id, status: 'refused', epoch: 1 },
  ]);
  await returned.promise;
  await unsubscribe();
  assert.equal((await buy(sale, { buyer: 4 })).status, 202);
});

async function subscribeReturned(sale: string, then: () => void): Promise<() => Promise<void>> {
  return checkout.redis.subscriber.listen('fs:broadcast', {
    onMessage: (text) => {
      const message = JSON.parse(text) as { type: string; sale: string };
      // Checkout listens on the same connection and was there first.
      if (message.type === 'returned' && message.sale === sale) then();
    },
    onReset: () => undefined,
  });
}

test('a sold-out storm asks Redis now and then, however many come', async () => {
  const sale = await openSale({ items: [testItem('air-zero-42', { stock: 1 })] });
  assert.equal((await buy(sale)).status, 202);
  assert.equal((await buy(sale, { buyer: 2 })).body['code'], 'sold_out');
  const tokens = await Promise.all(Array.from({ length: 100 }, (_, i) => checkout.issuer.token(100 + i)));
  const started = performance.now();
  reserveCalls.length = 0;
  for (let round = 0; round < 5; round++) {
    const replies = await Promise.all(tokens.map((token, i) => buy(sale, { token, key: `${round}.${i}` })));
    assert.ok(replies.every(({ body }) => body['code'] === 'sold_out'));
    // The publication of another sale is none of this one's business.
    await openSale();
  }
  const asked = reserveCalls.flat().length;
  // Two shards, eight purchases each, twice in 200 ms; the first time before memory may answer at all.
  const probes = Math.ceil((performance.now() - started) / 200) + 1;
  assert.ok(asked <= probes * 2 * 8 * 2, `${asked} of 500 purchases in ${probes} probes`);
});

test('a purchase made in another process keeps its answer here, though sold out is answered from memory', async () => {
  const other = await startTestCheckout(await testRedis());
  const sale = await openSale({ items: [testItem('air-zero-42', { stock: 1 })] });
  await other.checkout.directory.refresh();
  // The same buyer by another issuer's token: only the subject counts.
  const made = await fetch(`${other.url}/api/v1/sales/${sale}/purchases`, {
    method: 'POST',
    headers: {
      Authorization: `Bearer ${await other.issuer.token(1)}`,
      'Idempotency-Key': 'mine',
      'Content-Type': 'application/json',
    },
    body: JSON.stringify({ sku: 'air-zero-42', quantity: 1 }),
  });
  const first = (await made.json()) as Record<string, unknown>;
  assert.equal(made.status, 202);
  await other.stop();
  reserveCalls.length = 0;
  const until = Date.now() + 5_000;
  // Until memory answers: then a refusal no longer reaches Redis.
  for (let asked = -1; asked !== reserveCalls.length;) {
    asked = reserveCalls.length;
    assert.equal((await buy(sale, { buyer: 2 })).body['code'], 'sold_out');
    assert.ok(Date.now() < until);
  }
  assert.deepEqual((await buy(sale, { buyer: 1, key: 'mine' })).body, first);
});

test('before the opening: 425 with the time, without Redis; at the opening the script decides', async () => {
  const opensAt = Date.now() + 3_600_000;
  const sale = await openSale({ opensAt, closesAt: opensAt + 1_000, phase: 'Armed' });
  reserveCalls.length = 0;
  const early = await buy(sale);
  const found = [early.status, early.body['code'], early.body['opensAt'], reserveCalls.length];
  assert.deepEqual(found, [425, 'sale_not_open', new Date(opensAt).toISOString(), 0]);

  // So near that Redis is asked. On a busy machine the opening may pass meanwhile: then once more.
  const ask = async (at = Date.now() + 150) => {
    const near = await buy(await openSale({ opensAt: at, phase: 'Armed' }));
    return Date.now() < at ? near : undefined;
  };
  const near = (await ask()) ?? (await ask()) ?? (await ask());
  assert.deepEqual([near?.status, reserveCalls.length > 0], [425, true]);
});

test('after the close: 410, but a purchase made before still has its answer', async () => {
  const name = randomSaleName();
  const sale = testSale(name);
  await checkout.open(sale);
  const bought = await buy(name, { key: 'early' });
  await checkout.store.close(name, sale.warm.shards, sale.epoch);
  assert.deepEqual((await buy(name, { key: 'early' })).body, bought.body);
  const late = await buy(name, { buyer: 2 });
  assert.equal(late.status, 410);
  assert.equal(late.body['code'], 'sale_closed');
});

test('what is not warm or paused is 503 with Retry-After', async () => {
  const paused = await openSale({ paused: true });
  const name = randomSaleName();
  const cold = testSale(name);
  await checkout.store.publish(cold);
  await checkout.checkout.directory.refresh();
  for (const sale of [paused, name]) {
    const reply = await buy(sale);
    assert.equal(reply.status, 503);
    assert.equal(reply.body['code'], 'try_again_later');
    assert.ok(Number(reply.headers.get('retry-after')) >= 1);
  }
  await checkout.store.unpublish(name);
});

test('after a rebuild under a new epoch the first purchase finds it', async () => {
  const name = randomSaleName();
  await checkout.open(testSale(name));
  const next = testSale(name, { epoch: 2 });
  await checkout.store.rebuild(next, 2, []);
  // The publication reaches checkout by broadcast or not: the refused epoch makes it look.
  await checkout.store.publish(next);
  assert.equal((await buy(name)).status, 202);
});

test('a lost reply is not a lost purchase: asked again in time, and reserved once', async () => {
  const sale = await openSale();
  let lost = 0;
  fault = async (run) => {
    const answers = await run();
    if (lost++ === 0) throw new Error('connection lost');
    return answers;
  };
  const started = performance.now();
  const reply = await buy(sale);
  fault = undefined;
  assert.equal(reply.status, 202);
  assert.ok(performance.now() - started < 1_000);
  assert.equal(await free(sale), 9);
});

test('a Redis that does not answer is 503 within a second', async () => {
  const sale = await openSale();
  fault = () => new Promise(() => undefined);
  const started = performance.now();
  const reply = await buy(sale);
  fault = undefined;
  assert.equal(reply.status, 503);
  assert.ok(performance.now() - started < 1_000);
});

test('the same purchase at the same time is in flight', async () => {
  const sale = await openSale();
  const reached = Promise.withResolvers<undefined>();
  const gate = Promise.withResolvers<undefined>();
  fault = async (run) => {
    reached.resolve(undefined);
    await gate.promise;
    return run();
  };
  const first = buy(sale, { key: 'twin' });
  await reached.promise;
  const second = await buy(sale, { key: 'twin' });
  gate.resolve(undefined);
  fault = undefined;
  assert.equal(second.status, 409);
  assert.equal(second.body['code'], 'purchase_in_flight');
  assert.equal((await first).status, 202);
});

test('what is wrong with a request is said, and costs Redis nothing', async () => {
  const sale = await openSale();
  reserveCalls.length = 0;
  const cases: [Sent, number, string, string?][] = [
    [{ headers: { Authorization: undefined } }, 401, 'unauthenticated'],
    [{ headers: { Authorization: 'Bearer x.y.z' } }, 401, 'unauthenticated'],
    [{ headers: { 'Idempotency-Key': undefined } }, 400, 'idempotency_key_missing'],
    [{ key: 'a b' }, 400, 'invalid_request', 'Idempotency-Key'],
    [{ headers: { 'Content-Type': 'text/plain' } }, 415, 'unsupported_media_type'],
    [{ body: '{' }, 400, 'invalid_request', 'body'],
    [{ body: { sku: 'none', quantity: 1 } }, 400, 'invalid_request', 'sku'],
    [{ body: { sku: 'air-zero-42', quantity: 2 } }, 400, 'invalid_request', 'quantity'],
    [{ body: 'x'.repeat(5_000) }, 413, 'payload_too_large'],
  ];
  for (const [sent, status, code, name] of cases) {
    const reply = await buy(sale, sent);
    assert.equal(reply.status, status, JSON.stringify(reply.body));
    assert.equal(reply.body['code'], code);
    assert.equal(reply.headers.get('content-type'), 'application/problem+json');
    assert.ok(reply.headers.get('x-correlation-id'));
    if (name !== undefined) assert.equal(field(reply), name);
  }
  const unknown = await buy('no-such-sale');
  assert.equal(unknown.status, 404);
  assert.equal(unknown.body['code'], 'sale_not_found');
  assert.equal(reserveCalls.length, 0);
});

test('a body that grows too large without saying so is refused', async () => {
  const sale = await openSale();
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      for (let i = 0; i < 6; i++) controller.enqueue(new Uint8Array(1_024).fill(32));
      controller.close();
    },
  });
  const response = await fetch(`${checkout.url}/api/v1/sales/${sale}/purchases`, {
    method: 'POST',
    headers: {
      Authorization: `Bearer ${await checkout.issuer.token(1)}`,
      'Idempotency-Key': 'k',
      'Content-Type': 'application/json',
    },
    body: stream,
    duplex: 'half',
  });
  assert.equal(response.status, 413);
});

test('the sales page tells phase, time, price and what remains', async () => {
  const sale = await openSale();
  await buy(sale);
  const { status, body } = await get(`/api/v1/sales/${sale}`);
  assert.equal(status, 200);
  const { now, opensAt, closesAt, ...rest } = body;
  assert.ok(Math.abs(Date.parse(String(now)) - Date.now()) < 1_000);
  assert.ok(Date.parse(String(opensAt)) < Date.parse(String(closesAt)));
  const item = {
    sku: 'air-zero-42',
    title: 'air-zero-42',
    price: { amount: '129.00', currency: 'EUR' },
    stock: 10,
    remaining: 9,
    perBuyer: 1,
  };
  assert.deepEqual(rest, { name: sale, phase: 'Open', items: [item] });
  const all = await fetch(`${checkout.url}/api/v1/sales`).then(
    (response) => response.json() as Promise<{ name: string }[]>,
  );
  assert.ok(all.some(({ name }) => name === sale));
  assert.equal((await get('/api/v1/sales/none')).body['code'], 'sale_not_found');
});

test('another method on the purchases of a sale is 405', async () => {
  const response = await fetch(`${checkout.url}/api/v1/sales/drop/purchases`);
  assert.equal(response.status, 404);
});

test('a crowd gets exactly what there is, whatever the shards', async () => {
  const sale = await openSale({
    items: [testItem('air-zero-42', { stock: 40 })],
    warm: { ...testSale('x').warm, shards: 4 },
  });
  const replies = await Promise.all(Array.from({ length: 150 }, (_, i) => buy(sale, { buyer: 1_000 + i })));
  const count = (code: unknown): number =>
    replies.filter(({ status, body }) => (status === 202 ? 202 : body['code']) === code).length;
  assert.equal(count(202), 40);
  assert.equal(count('sold_out'), 110);
  assert.equal(await free(sale), 0);
});

test('a hold whose time passed is swept, told to the log, and its unit sold again', async () => {
  const sale = await openSale({ items: [testItem('air-zero-42', { stock: 1 })], holdForMs: 300 });
  const first = await buy(sale, { buyer: 1 });
  const id = String(first.body['id']);
  const until = Date.now() + 5_000;
  while (!checkout.sent.some(({ event }) => event.id === id && event.type === 'expired')) {
    assert.ok(Date.now() < until, 'the hold was never swept');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.equal((await get(`/api/v1/purchases/${id}`, 1)).body['status'], 'expired');
  assert.equal((await buy(sale, { buyer: 2 })).status, 202);
});
