/** The ledger on a real PostgreSQL; Redis, Kafka and pushes are recorded. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { testDatabase } from '@flashsale/local/testing';
import { migrate, openDatabase, type Database } from '@flashsale/platform/database';
import { createLogger } from '@flashsale/platform/log';
import {
  StoreNotReady,
  type BuyerUpdate,
  type PurchaseReserved,
  type PurchaseResolved,
  type ResolveAnswer,
  type SaleEvent,
  type SettleRequest,
  type ShardItem,
} from '@flashsale/sale';
import { allocate, totals } from './allocate.ts';
import { PrismaClient } from './generated/prisma/client.ts';
import { NotAllocated } from './ports.ts';
import { entry } from './read.ts';
import { createRecord } from './record.ts';
import { sqlLedger } from './sql-ledger.ts';

const log = createLogger('orders', 'silent');
let db: Database<PrismaClient>;

before(async () => {
  const url = await testDatabase();
  await migrate(url, fileURLToPath(new URL('../prisma/migrations', import.meta.url)), log);
  db = openDatabase(PrismaClient, url);
  await db.connect();
});
after(() => db.disconnect());

/** A sale of its own, and the consumer over the real ledger with everything around it recorded. */
async function world(allocated: number, perBuyer = 1, settle: () => ResolveAnswer = () => ({ code: 'done' })) {
  const sale = `s${randomBytes(6).toString('hex')}`;
  if (allocated >= 0) await allocate(db, sale, [{ sku: 'shoe', allocated, perBuyer }]);
  const steps: string[] = [];
  const sent: SaleEvent[] = [];
  const pushed: BuyerUpdate[] = [];
  const asked: ShardItem[] = [];
  const record = createRecord({
    ledger: sqlLedger(db),
    log,
    store: {
      settle: (at: ShardItem, batch: readonly SettleRequest[]) => {
        steps.push('settle');
        asked.push(at);
        return Promise.resolve(batch.map(settle));
      },
    },
    signals: {
      notifyBuyers: (updates) => {
        steps.push('push');
        pushed.push(...updates);
        return Promise.resolve();
      },
    },
    send: (_topic, events) => {
      steps.push('send');
      sent.push(...events);
      return Promise.resolve();
    },
  });
  const reserved = (buyer: string, shard = 0): PurchaseReserved => {
    const id = `${sale}.${shard}.${randomBytes(17).toString('base64url').slice(0, 22)}`;
    return {
      type: 'reserved',
      id,
      sale,
      sku: 'shoe',
      quantity: 1,
      buyer,
      buyerNumber: 7,
      amountMinor: 500,
      currency: 'EUR',
      epoch: 1,
      correlationId: id,
      reservedAt: 1_000,
      expiresAt: 9_000,
    };
  };
  const status = async ({ id }: { id: string }): Promise<string | undefined> => (await entry(db, id))?.status;
  const sold = async (): Promise<number | undefined> => (await totals(db, sale))[0]?.sold;
  const refunds = (): string[] => sent.map((event) => `${event.type} ${'reason' in event ? event.reason : ''}`);
  return { sale, record, reserved, status, sold, refunds, steps, sent, pushed, asked };
}

const resolved = (purchase: PurchaseReserved, type: PurchaseResolved['type'], reason?: string): PurchaseResolved => {
  const { reservedAt: at, expiresAt, ...facts } = purchase;
  return { ...facts, type, at: at + expiresAt, ...(reason === undefined ? {} : { reason }) };
};
const paid = (purchase: PurchaseReserved): PurchaseResolved => resolved(purchase, 'paid');

test('a row has the goods that were paid for, also where the same key asked for others first', async () => {
  const { record, reserved, sold } = await world(10, 2);
  const first = reserved('ann');
  const other = { ...first, quantity: 2, amountMinor: 1_000 };
  for (const event of [first, other]) await record([event]);
  await record([paid(other)]);
  const row = await entry(db, first.id);
  assert.deepEqual([row?.status, row?.quantity, row?.amountMinor, await sold()], ['paid', 2, 1_000, 2]);
  await record([resolved(other, 'refunded')]);
  assert.deepEqual([(await entry(db, first.id))?.quantity, await sold()], [2, 0]);
});

test('paid: settled in Redis by shard, then in the ledger, then pushed', async () => {
  const { record, reserved, status, sold, steps, pushed, asked, sale, sent } = await world(10);
  const [a, b, c] = [reserved('ann'), reserved('bob', 2), reserved('cid', 2)];
  await record([a, b, c]);
  assert.equal(await status(a), 'reserved');
  assert.deepEqual(steps, []);
  assert.deepEqual(await record([a, b, c].map(paid)), []);
  assert.deepEqual(steps, ['settle', 'settle', 'push']);
  assert.deepEqual(
    asked.map(({ shard }) => shard),
    [0, 2],
  );
  assert.equal(await sold(), 3);
  assert.deepEqual(pushed[0], {
    buyer: 'ann',
    purchase: { id: a.id, sale, sku: 'shoe', quantity: 1, status: 'paid' },
  });
  assert.deepEqual(sent, []);
  assert.deepEqual(await entry(db, a.id), {
    id: a.id,
    sale,
    sku: 'shoe',
    buyer: 'ann',
    buyerNumber: 7,
    quantity: 1,
    status: 'paid',
    amountMinor: 500,
    currency: 'EUR',
    reservedAt: 1_000,
  });
});

test('repeated events count once, and the buyer is told again', async () => {
  const { record, reserved, sold, pushed } = await world(10);
  const a = reserved('ann');
  await record([paid(a), paid(a)]);
  await record([a, a]);
  await record([paid(a)]);
  assert.equal(await sold(), 1);
  assert.equal(pushed.length, 3);
  assert.equal((await entry(db, a.id))?.reservedAt, 1_000, 'the late reserved event brings its time');
});

test('the same batches in three processes at once count once', async () => {
  const { record, reserved, sold } = await world(100);
  const batch = Array.from({ length: 60 }, (_, i) => reserved(`buyer-${i}`, i % 3));
  const events = batch.map(paid);
  await Promise.all([record(events), record(events.toReversed()), record(batch), record(events.slice(20))]);
  assert.equal(await sold(), 60);
});

test('sold never passes the allocation: in one batch, the ones too many are refunded and the others are sold', async () => {
  const { record, reserved, sold, refunds, pushed, status } = await world(5);
  const batch = Array.from({ length: 8 }, (_, i) => reserved(`buyer-${i}`));
  await record(batch.map(paid));
  assert.equal(await sold(), 5);
  assert.equal(pushed.length, 5);
  assert.deepEqual(
    refunds(),
    Array.from({ length: 3 }, () => 'refund sold out'),
  );
  const statuses = await Promise.all(batch.map(status));
  assert.deepEqual(statuses, [...Array.from({ length: 5 }, () => 'paid'), 'reserved', 'reserved', 'reserved']);
});

test('a buyer never has more than his limit; a unit given back frees his place', async () => {
  const { record, reserved, sold, refunds } = await world(10, 2);
  const [a, b, c, d] = [reserved('ann'), reserved('ann'), reserved('ann'), reserved('ann')];
  await record([paid(a), paid(b), paid(c)]);
  assert.equal(await sold(), 2);
  assert.deepEqual(refunds(), ['refund you already have as many as one buyer may have']);
  await record([resolved(a, 'refunded'), paid(d)]);
  assert.equal(await sold(), 2);
});

test('a decision against a sale stands, though the guard would let it pass later', async () => {
  const { record, reserved, sold, refunds, status } = await world(1);
  const [a, b] = [reserved('ann'), reserved('bob')];
  await record([paid(a), paid(b)]);
  await record([resolved(a, 'refunded')]);
  await record([paid(b)]);
  assert.equal(await sold(), 0);
  assert.deepEqual(refunds(), ['refund sold out', 'refund the purchase could not be completed']);
  await record([resolved(b, 'refunded')]);
  assert.equal(await status(b), 'refunded');
});

test('a hold that ended or is lost makes a refund, one that is refunded already makes nothing', async () => {
  const answers: [ResolveAnswer, string[]][] = [
    [{ code: 'otherwise', status: 'expired' }, ['refund the reservation had ended: expired']],
    [{ code: 'missing' }, ['refund the reservation was lost']],
    [{ code: 'otherwise', status: 'refunded' }, []],
  ];
  for (const [answer, expected] of answers) {
    const { record, reserved, sold, refunds, pushed, status } = await world(1, 1, () => answer);
    const a = reserved('ann');
    await record([a]);
    await record([paid(a)]);
    assert.deepEqual(refunds(), expected);
    await record([resolved(a, 'expired'), resolved(a, 'refunded')]);
    assert.equal(await status(a), 'refunded');
    assert.equal(await sold(), 0);
    assert.deepEqual(
      pushed.map(({ purchase }) => purchase.status),
      ['expired'],
    );
  }
});

test('while Redis cannot settle, or nothing is allocated, the batch fails as a whole and leaves no trace', async () => {
  for (const code of ['notWarm', 'wrongEpoch'] as const) {
    const { record, reserved, status } = await world(1, 1, () => ({ code }));
    const a = reserved('ann');
    await assert.rejects(record([paid(a)]), StoreNotReady);
    assert.equal(await status(a), undefined);
  }
  const { record, reserved, sale, sold, refunds, status } = await world(-1);
  const a = reserved('ann');
  await assert.rejects(record([paid(a)]), NotAllocated);
  assert.equal(await status(a), undefined);
  await allocate(db, sale, [{ sku: 'shoe', allocated: 1, perBuyer: 1 }]);
  await record([paid(a)]);
  assert.equal(await sold(), 1);
  assert.deepEqual(refunds(), []);
});

test('events in any order end in the right state', async () => {
  const { record, reserved, sold, status } = await world(10, 10);
  const orders: [PurchaseResolved['type'][], string, number][] = [
    [['refunded', 'paid'], 'refunded', 0],
    [['paid', 'refunded', 'paid'], 'refunded', 0],
    [['paid', 'expired'], 'paid', 1],
    [['refused', 'expired'], 'refused', 0],
    [['expired', 'refused'], 'expired', 0],
    [['expired', 'refunded', 'expired'], 'refunded', 0],
    [['refunded', 'expired'], 'refunded', 0],
  ];
  for (const [types, end, units] of orders) {
    for (const split of [false, true]) {
      const a = reserved('ann');
      const earlier = (await sold()) ?? 0;
      const events = types.map((type) => resolved(a, type));
      for (const batch of split ? events.map((event) => [event]) : [events]) await record(batch);
      await record([a]);
      assert.equal(await status(a), end, types.join());
      assert.equal(await sold(), earlier + units, types.join());
    }
  }
});

test('a larger allocation and a larger limit hold from then on; a smaller one than sold is refused', async () => {
  const { record, reserved, sold, sale } = await world(1);
  await record([paid(reserved('ann'))]);
  assert.equal(await allocate(db, sale, [{ sku: 'shoe', allocated: 3, perBuyer: 2 }]), true);
  await record([paid(reserved('ann')), paid(reserved('bob')), paid(reserved('cid'))]);
  assert.equal(await sold(), 3);
  assert.equal(
    await allocate(db, sale, [
      { sku: 'boot', allocated: 5, perBuyer: 1 },
      { sku: 'shoe', allocated: 2, perBuyer: 1 },
    ]),
    false,
  );
  assert.deepEqual(await totals(db, sale), [{ sku: 'shoe', allocated: 3, sold: 3 }]);
});

test('an event that no retry can help fails alone', async () => {
  const { record, reserved, sold } = await world(1);
  const a = paid(reserved('ann'));
  const bad = { ...a, id: 'nonsense' };
  assert.deepEqual(
    (await record([bad, a])).map(({ event }) => event),
    [bad],
  );
  assert.equal(await sold(), 1);
});
