/** Charges and refunds on a real PostgreSQL; Redis, Kafka and pushes are recorded. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { testDatabase } from '@flashsale/local/testing';
import { migrate, openDatabase, type Database } from '@flashsale/platform/database';
import { httpPart, internalClient, HttpError } from '@flashsale/platform/http';
import { createLogger } from '@flashsale/platform/log';
import {
  StoreNotReady,
  type BuyerUpdate,
  type PurchaseReserved,
  type RefundRequested,
  type ReleaseRequest,
  type ResolveAnswer,
  type SaleEvent,
} from '@flashsale/sale';
import { createPaymentsApp } from './app.ts';
import { sqlBook } from './book.ts';
import { createCharge } from './charge.ts';
import { PrismaClient } from './generated/prisma/client.ts';
import { createRefund } from './refund.ts';

const log = createLogger('payments', 'silent');
let db: Database<PrismaClient>;

before(async () => {
  const url = await testDatabase();
  await migrate(url, fileURLToPath(new URL('../prisma/migrations', import.meta.url)), log);
  db = openDatabase(PrismaClient, url);
  await db.connect();
});
after(() => db.disconnect());

const OPENING = 1_000;

/** Consumers over the real book, with everything around it recorded. */
function world(release: (request: ReleaseRequest) => ResolveAnswer['code'] = () => 'done') {
  const steps: string[] = [];
  const sent: SaleEvent[] = [];
  const released: ReleaseRequest[] = [];
  const pushed: BuyerUpdate[] = [];
  const ports = {
    book: sqlBook(db),
    log,
    openingCreditMinor: OPENING,
    store: {
      time: () => Promise.resolve(1_000),
      release: (_at: unknown, batch: readonly ReleaseRequest[]) => {
        steps.push('release');
        released.push(...batch);
        return Promise.resolve(batch.map((request) => ({ code: release(request) })));
      },
    },
    signals: {
      notifyBuyers: (updates: readonly BuyerUpdate[]) => {
        steps.push('push');
        pushed.push(...updates);
        return Promise.resolve();
      },
    },
    send: (_topic: string, events: readonly SaleEvent[]) => {
      steps.push('send');
      sent.push(...events);
      return Promise.resolve();
    },
  };
  const outcomes = (): string[] => sent.map(({ type, id }) => `${type} ${id.slice(-2)}`);
  return { charge: createCharge(ports), refund: createRefund(ports), steps, sent, released, pushed, outcomes };
}

const buyerName = (): string => `buyer-${randomBytes(6).toString('hex')}`;
let serial = 10;
function reserved(buyer: string, amountMinor: number, more: Partial<PurchaseReserved> = {}): PurchaseReserved {
  const id = `drop.0.${randomBytes(15).toString('base64url')}${serial++}`;
  return {
    type: 'reserved',
    id,
    sale: 'drop',
    sku: 'shoe',
    quantity: 1,
    buyer,
    amountMinor,
    currency: 'EUR',
    epoch: 3,
    correlationId: id,
    reservedAt: 0,
    expiresAt: 2_000,
    ...more,
  };
}
const refundOf = (purchase: PurchaseReserved): RefundRequested => ({
  ...purchase,
  type: 'refund',
  at: 5,
  reason: 'lost',
});
const credit = async (buyer: string): Promise<number> =>
  Number((await db.account.findUniqueOrThrow({ where: { buyer } })).creditMinor);
const short = ({ id }: PurchaseReserved): string => id.slice(-2);

test('a batch is charged exactly, in its order; refused ones are released, then published, then pushed', async () => {
  const buyer = buyerName();
  const [a, b, c] = [reserved(buyer, 600), reserved(buyer, 500), reserved(buyer, 400)];
  const { charge, outcomes, steps, released, pushed, sent } = world();
  assert.deepEqual(await charge([a, b, c]), []);
  assert.equal(await credit(buyer), 0);
  assert.deepEqual(outcomes(), [`paid ${short(a)}`, `paid ${short(c)}`, `refused ${short(b)}`]);
  assert.deepEqual(steps, ['release', 'send', 'push']);
  assert.deepEqual(released, [{ id: b.id, status: 'refused', epoch: 3 }]);
  assert.deepEqual(pushed[0]?.purchase, {
    id: b.id,
    sale: 'drop',
    sku: 'shoe',
    quantity: 1,
    status: 'refused',
    reason: 'insufficient credit',
  });
  const { reservedAt, expiresAt, ...facts } = a;
  assert.deepEqual(sent[0], { ...facts, type: 'paid', at: 1_000 });
  assert.ok(reservedAt < expiresAt);
});

test('a batch that comes again comes to the same, and charges nobody twice', async () => {
  const buyer = buyerName();
  const batch = [reserved(buyer, 700), reserved(buyer, 700)];
  const first = world();
  await first.charge(batch);
  const again = world(() => 'already');
  // Past its time by now: what was decided stands all the same.
  await again.charge([...batch, ...batch].map((purchase) => ({ ...purchase, expiresAt: 1 })));
  assert.deepEqual(again.outcomes(), first.outcomes());
  assert.equal(await credit(buyer), 300);
});

test('the same batch in two processes at once charges once', async () => {
  const buyers = Array.from({ length: 20 }, buyerName);
  const batch = buyers.flatMap((buyer) => [reserved(buyer, 400), reserved(buyer, 400), reserved(buyer, 400)]);
  const worlds = [world(), world(), world()];
  await Promise.all(worlds.map(({ charge }, i) => charge(i === 1 ? batch.toReversed() : batch)));
  assert.deepEqual(
    await Promise.all(buyers.map(credit)),
    buyers.map(() => 200),
  );
  const outcomes = worlds.map((one) => one.outcomes().toSorted());
  assert.deepEqual(outcomes[1], outcomes[0]);
  assert.deepEqual(outcomes[2], outcomes[0]);
});

test('a key that comes again for other goods, after Redis lost the first: the charge goes back, whole and once', async () => {
  const changes: Partial<PurchaseReserved>[] = [
    { quantity: 2, amountMinor: 600 },
    { sku: 'boot' },
    { currency: 'USD' },
  ];
  for (const change of changes) {
    const buyer = buyerName();
    const first = reserved(buyer, 300);
    const other = { ...first, ...change };
    const before = world();
    await before.charge([first]);
    assert.deepEqual(before.outcomes(), [`paid ${short(first)}`]);
    // As often as the batch comes, and also past its time.
    for (const late of [{}, { expiresAt: 1 }]) {
      const { charge, sent, released, pushed, steps } = world();
      await charge([{ ...other, ...late }]);
      assert.equal(await credit(buyer), OPENING);
      // The ledger takes back what was charged; Redis whichever of the two it has.
      const { reservedAt: _reserved, expiresAt: _expires, ...facts } = first;
      const reason = 'the same key was used again for another purchase';
      assert.deepEqual(sent, [{ ...facts, type: 'refunded', at: 1_000, reason }]);
      assert.ok(released.length > 0 && released.every(({ status }) => status === 'refunded'));
      assert.deepEqual([pushed[0]?.purchase.status, steps.at(-1)], ['refunded', 'push']);
    }
  }
});

test('two bodies of one key in one batch: nothing is paid for', async () => {
  const buyer = buyerName();
  const first = reserved(buyer, 300);
  const { charge, outcomes, sent } = world();
  await charge([first, { ...first, quantity: 2, amountMinor: 600 }]);
  assert.deepEqual([outcomes(), await credit(buyer)], [[`refunded ${short(first)}`], OPENING]);
  assert.deepEqual(
    sent.map((event) => [event.quantity, event.amountMinor]),
    [[1, 300]],
  );
});

test('a key that was refused stays refused, whatever it asks for after it', async () => {
  const buyer = buyerName();
  const first = reserved(buyer, OPENING + 1);
  await world().charge([first]);
  const { charge, outcomes } = world();
  await charge([{ ...first, amountMinor: 1 }]);
  assert.deepEqual([outcomes(), await credit(buyer)], [[`refused ${short(first)}`], OPENING]);
});

test('an overdue purchase is left to the sweeper', async () => {
  const buyer = buyerName();
  const { charge, sent, steps } = world();
  await charge([reserved(buyer, 100, { expiresAt: 1_000 })]);
  assert.deepEqual([sent, steps], [[], []]);
  assert.equal(await credit(buyer), OPENING);
});

test('a refused purchase whose hold expired first is left to the event of its expiry', async () => {
  const { charge, sent, pushed } = world(() => 'otherwise');
  await charge([reserved(buyerName(), OPENING + 1)]);
  assert.deepEqual([sent, pushed], [[], []]);
});

test('a refused purchase whose hold is lost is refused all the same', async () => {
  const lost = reserved(buyerName(), OPENING + 1);
  const { charge, outcomes } = world(() => 'missing');
  await charge([lost]);
  assert.deepEqual(outcomes(), [`refused ${short(lost)}`]);
});

test('while Redis cannot release, nothing is published; the batch that comes again is', async () => {
  const buyer = buyerName();
  const batch = [reserved(buyer, 400), reserved(buyer, OPENING + 1)];
  for (const code of ['notWarm', 'wrongEpoch'] as const) {
    const closed = world(() => code);
    await assert.rejects(closed.charge(batch), StoreNotReady);
    assert.deepEqual(closed.sent, []);
  }
  const open = world();
  await open.charge(batch);
  assert.equal(open.sent.length, 2);
  assert.equal(await credit(buyer), 600);
});

test('an account in another currency is refused', async () => {
  const buyer = buyerName();
  await sqlBook(db).setCredit([{ buyer, creditMinor: 500 }], 'USD');
  const { charge, sent } = world();
  await charge([reserved(buyer, 100)]);
  assert.deepEqual(
    sent.map((event) => 'reason' in event && event.reason),
    ['the account is in USD'],
  );
});

test('an event that no retry can help fails alone', async () => {
  const good = reserved(buyerName(), 100);
  const bad = [
    { ...good, id: 'nonsense' },
    { ...good, sale: 'other' },
    { ...good, amountMinor: 0.5 },
    { ...good, quantity: 0 },
    { ...good, buyer: 'a\0b' },
  ];
  const { charge, outcomes } = world();
  const failures = await charge([...bad, good]);
  assert.deepEqual(
    failures.map(({ event }) => event),
    bad,
  );
  assert.deepEqual(outcomes(), [`paid ${short(good)}`]);
});

test('a refund gives the money back once, however often and wherever it is asked for', async () => {
  const buyer = buyerName();
  const batch = [reserved(buyer, 300), reserved(buyer, 200)];
  await world().charge(batch);
  assert.equal(await credit(buyer), 500);
  const worlds = [world(), world()];
  const requests = [...batch, ...batch].map(refundOf);
  await Promise.all(worlds.map(({ refund }, i) => refund(i === 0 ? requests : requests.toReversed())));
  assert.equal(await credit(buyer), OPENING);
  for (const { outcomes, released, pushed, steps } of worlds) {
    assert.deepEqual(outcomes().toSorted(), batch.map((purchase) => `refunded ${short(purchase)}`).toSorted());
    assert.deepEqual(
      released.map(({ status }) => status),
      ['refunded', 'refunded'],
    );
    assert.equal(pushed[0]?.purchase.reason, 'lost');
    assert.deepEqual(steps, ['release', 'send', 'push']);
  }
  // The charge that comes again is no second charge: what came after is for the ledger to know.
  const again = world();
  await again.charge(batch);
  assert.deepEqual(
    again.outcomes(),
    batch.map((purchase) => `paid ${short(purchase)}`),
  );
  assert.equal(await credit(buyer), OPENING);
});

test('a refund of what was never charged fails alone', async () => {
  const buyer = buyerName();
  const [paid, refused, unknown] = [reserved(buyer, 300), reserved(buyer, 2_000), reserved(buyer, 100)];
  await world().charge([paid, refused]);
  const { refund, outcomes } = world();
  const failures = await refund([paid, refused, unknown].map(refundOf));
  assert.deepEqual(
    failures.map(({ event }) => event.id),
    [refused.id, unknown.id],
  );
  assert.deepEqual(outcomes(), [`refunded ${short(paid)}`]);
});

test('a lost push fails nothing', async () => {
  const refused = reserved(buyerName(), OPENING + 1);
  const { charge, outcomes } = world();
  const ports = { notifyBuyers: () => Promise.reject(new Error('no Redis')) };
  const deaf = createCharge({
    book: sqlBook(db),
    log,
    openingCreditMinor: OPENING,
    signals: ports,
    store: { time: () => Promise.resolve(0), release: () => Promise.resolve([{ code: 'done' }]) },
    send: () => Promise.resolve(),
  });
  assert.deepEqual(await deaf([refused]), []);
  await charge([refused]);
  assert.deepEqual(outcomes(), [`refused ${short(refused)}`]);
});

test('the internal route sets credit of new and known accounts, and names what is wrong', async () => {
  const http = httpPart({ app: createPaymentsApp(sqlBook(db), 'EUR', log), port: 0, log });
  await http.start?.();
  try {
    const client = internalClient(`http://127.0.0.1:${http.port}`);
    const buyer = buyerName();
    for (const creditMinor of [70, 90]) {
      await client.json('PUT', '/internal/accounts', { accounts: [{ buyer, creditMinor }] });
      assert.equal(await credit(buyer), creditMinor);
    }
    await assert.rejects(
      client.json('PUT', '/internal/accounts', { accounts: [{ buyer, creditMinor: -1 }] }),
      (error) => error instanceof HttpError && error.status === 400 && error.body.includes('accounts.0.creditMinor'),
    );
  } finally {
    await http.drain?.();
    await http.stop?.();
  }
});
