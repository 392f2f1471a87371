/**
 * The saga of payments and orders on a real PostgreSQL, with a model of Redis and of Kafka around it: batches come in
 * any order, twice, at the same time in two processes, and every call may fail before or after it was carried out.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { testDatabase } from '@flashsale/local/testing';
import { sqlBook } from '@flashsale/payments/book';
import { createCharge } from '@flashsale/payments/charge';
import { PrismaClient as PaymentsClient } from '@flashsale/payments/generated/prisma/client';
import { createRefund } from '@flashsale/payments/refund';
import type { FailedEvent } from '@flashsale/platform/kafka';
import { migrate, openDatabase, type Database } from '@flashsale/platform/database';
import { createLogger } from '@flashsale/platform/log';
import {
  TOPICS,
  type PurchaseReserved,
  type PurchaseStatus,
  type ReleaseRequest,
  type ResolveAnswer,
  type SaleEvent,
  type SettleRequest,
  type ShardItem,
  type TopicName,
} from '@flashsale/sale';
import fc from 'fast-check';
import { allocate } from './allocate.ts';
import { PrismaClient } from './generated/prisma/client.ts';
import { createRecord } from './record.ts';
import { sqlLedger } from './sql-ledger.ts';

const log = createLogger('saga', 'silent');
let orders: Database<PrismaClient>;
let payments: Database<PaymentsClient>;

before(async () => {
  const urls = [await testDatabase(), await testDatabase()] as const;
  await migrate(urls[0], fileURLToPath(new URL('../prisma/migrations', import.meta.url)), log);
  await migrate(urls[1], fileURLToPath(new URL('../../payments/prisma/migrations', import.meta.url)), log);
  orders = openDatabase(PrismaClient, urls[0]);
  payments = openDatabase(PaymentsClient, urls[1]);
  await Promise.all([orders.connect(), payments.connect()]);
});
after(() => Promise.all([orders.disconnect(), payments.disconnect()]));

interface ModelHold {
  status: PurchaseStatus;
  readonly sku: string;
  readonly quantity: number;
  readonly expiresAt: number;
}

/** Redis as far as the saga needs it: holds, and where their units are. */
class ModelStore {
  now = 0;
  readonly holds = new Map<string, ModelHold>();

  time(): Promise<number> {
    return Promise.resolve(this.now);
  }
  settle(_at: ShardItem, batch: readonly SettleRequest[]): Promise<ResolveAnswer[]> {
    return Promise.resolve(batch.map(({ id }) => this.#move(id, 'paid', ['reserved'])));
  }
  release(_at: ShardItem, batch: readonly ReleaseRequest[]): Promise<ResolveAnswer[]> {
    const from = { refused: ['reserved'], expired: ['reserved'], refunded: ['reserved', 'paid', 'expired'] } as const;
    return Promise.resolve(batch.map(({ id, status }) => this.#move(id, status, from[status])));
  }
  #move(id: string, to: PurchaseStatus, from: readonly PurchaseStatus[]): ResolveAnswer {
    const hold = this.holds.get(id);
    if (!hold) return { code: 'missing' };
    if (hold.status === to) return { code: 'already', status: to };
    if (!from.includes(hold.status)) return { code: 'otherwise', status: hold.status };
    hold.status = to;
    return { code: 'done', status: to };
  }
}

type Fault = 'none' | 'before' | 'after';
class Crash extends Error {}

/** Every method of `target` asks `next` whether it fails, and whether it was carried out then. */
function crashing<T extends object>(target: T, methods: readonly (keyof T)[], next: () => Fault): T {
  return new Proxy(target, {
    get(_, name): unknown {
      const value = Reflect.get(target, name) as unknown;
      if (typeof value !== 'function') return value;
      const method = (value as (...args: unknown[]) => unknown).bind(target);
      if (!methods.includes(name as keyof T)) return method;
      return async (...args: unknown[]) => {
        const fault = next();
        if (fault === 'before') throw new Crash(`before ${String(name)}`);
        const result = await method(...args);
        if (fault === 'after') throw new Crash(`after ${String(name)}`);
        return result;
      };
    },
  });
}

interface Wish {
  readonly buyer: number;
  readonly sku: 'shoe' | 'boot';
  readonly quantity: number;
  /** Its hold ends at time 1. */
  readonly short: boolean;
  /** Redis has lost its hold. */
  readonly lost: boolean;
}

const wish: fc.Arbitrary<Wish> = fc.record({
  buyer: fc.nat(3),
  sku: fc.constantFrom('shoe', 'boot'),
  quantity: fc.integer({ min: 1, max: 2 }),
  short: fc.boolean(),
  lost: fc.nat(9).map((n) => n === 0),
});

/** Kafka as far as the saga needs it: what each topic holds, and what each group has yet to do. */
class ModelLog {
  readonly all = new Map<TopicName, SaleEvent[]>();
  readonly pending = new Map<string, { topic: TopicName; events: Set<SaleEvent> }>();
  constructor(groups: Readonly<Record<string, readonly TopicName[]>>) {
    for (const [group, topics] of Object.entries(groups)) {
      for (const topic of topics) this.pending.set(`${group} ${topic}`, { topic, events: new Set() });
    }
  }
  send(topic: TopicName, events: readonly SaleEvent[]): Promise<void> {
    this.all.set(topic, [...(this.all.get(topic) ?? []), ...events]);
    for (const queue of this.pending.values()) {
      if (queue.topic === topic) for (const event of events) queue.events.add({ ...event });
    }
    return Promise.resolve();
  }
}

const PRICE = 10;
const CREDIT = 55;
const ALLOCATED = 4;
const LIMIT = 2;
/** Faults stop after so many steps, so that every run ends. */
const WILD_STEPS = 40;
/** Reserved, paid, refund, refunded: nothing needs more rounds than this. */
const MAX_ROUNDS = 8;

type Handler = (events: readonly SaleEvent[]) => Promise<readonly FailedEvent[]>;

class Saga {
  readonly sale = `s${randomBytes(6).toString('hex')}`;
  readonly buyers = [0, 1, 2, 3].map((n) => `${this.sale}-buyer-${n}`);
  readonly store = new ModelStore();
  readonly kafka = new ModelLog({
    payments: [TOPICS.purchases],
    orders: [TOPICS.purchases, TOPICS.payments],
    'payments-refunds': [TOPICS.refunds],
  });
  readonly names = [...this.kafka.pending.keys()];
  readonly purchases: readonly PurchaseReserved[];
  readonly #g: fc.GeneratorValue;
  readonly #handlers: Readonly<Record<string, Handler>>;
  /** While true, everything that can go wrong may. */
  wild = true;

  constructor(wishes: readonly Wish[], g: fc.GeneratorValue) {
    this.#g = g;
    this.purchases = wishes.map((one, i) => reservedFrom(this.sale, this.buyers, one, i));
    for (const [i, purchase] of this.purchases.entries()) {
      // A lost hold of a purchase that is not charged in time is for the operator to mend, not for the saga.
      if (!wishes[i]?.lost || wishes[i].short) this.store.holds.set(purchase.id, { ...purchase, status: 'reserved' });
    }
    const fault = (): Fault => (this.wild ? this.#pick('none', 'none', 'none', 'none', 'before', 'after') : 'none');
    const kafka = crashing(this.kafka, ['send'], fault);
    const shared = {
      log,
      store: crashing(this.store, ['time', 'settle', 'release'], fault),
      signals: crashing({ notifyBuyers: () => Promise.resolve() }, ['notifyBuyers'], fault),
      send: (topic: TopicName, events: readonly SaleEvent[]) => kafka.send(topic, events),
    };
    const pay = { ...shared, book: crashing(sqlBook(payments), ['transaction'], fault), openingCreditMinor: 0 };
    this.#handlers = {
      payments: createCharge(pay),
      orders: createRecord({ ...shared, ledger: crashing(sqlLedger(orders), ['transaction', 'note'], fault) }),
      'payments-refunds': createRefund(pay),
    };
  }

  #pick<T>(...from: readonly T[]): T {
    return from[this.#g(fc.nat, { max: from.length - 1 })] as T;
  }
  #some(from: readonly SaleEvent[], bounds: fc.SubarrayConstraints = {}): SaleEvent[] {
    return this.#g(fc.shuffledSubarray<SaleEvent>, [...from], bounds);
  }

  async begin(): Promise<void> {
    const items = ['shoe', 'boot'].map((sku) => ({ sku, allocated: ALLOCATED, perBuyer: LIMIT }));
    await allocate(orders, this.sale, items);
    const accounts = this.buyers.map((buyer) => ({ buyer, creditMinor: CREDIT }));
    await sqlBook(payments).setCredit(accounts, 'EUR');
    await this.kafka.send(TOPICS.purchases, this.purchases);
  }

  async step(): Promise<void> {
    const what = this.#pick(...this.names, 'two', 'clock', 'sweep');
    if (what === 'clock') this.store.now = 1;
    else if (what === 'sweep') await this.sweep();
    else if (what === 'two')
      await Promise.all([this.deliver(this.#pick(...this.names)), this.deliver(this.#pick(...this.names))]);
    else await this.deliver(what);
  }

  /** One batch of one group: some of what is pending, and some of what was there before, in any order. */
  async deliver(name: string): Promise<void> {
    const queue = this.kafka.pending.get(name);
    if (!queue) return;
    const fresh = this.wild ? this.#some([...queue.events]) : [...queue.events];
    const past = this.kafka.all.get(queue.topic) ?? [];
    const old = this.wild ? this.#some(past, { maxLength: Math.min(2, past.length) }) : [];
    const batch = [...fresh, ...old];
    const mixed = this.wild ? this.#some(batch, { minLength: batch.length }) : batch;
    try {
      const failures = await this.#handlers[name.split(' ')[0] as string]?.(mixed);
      assert.deepEqual(failures, []);
      for (const event of fresh) queue.events.delete(event);
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
    }
  }

  /** What the sweeper and the relay of checkout do. */
  async sweep(): Promise<void> {
    for (const { reservedAt: _, expiresAt, ...facts } of this.purchases) {
      const hold = this.store.holds.get(facts.id);
      if (hold?.status !== 'reserved' || hold.expiresAt > this.store.now) continue;
      hold.status = 'expired';
      await this.kafka.send(TOPICS.payments, [{ ...facts, type: 'expired', at: expiresAt }]);
    }
  }

  /** Nothing fails any more: all that is pending is done, and all that follows from it. */
  async settleDown(): Promise<void> {
    this.wild = false;
    this.store.now = 1;
    for (let round = 0; round < MAX_ROUNDS; round++) {
      for (const name of this.names) await this.deliver(name);
      await this.sweep();
      if ([...this.kafka.pending.values()].every(({ events }) => events.size === 0)) return;
    }
    assert.fail('the saga goes round in circles');
  }
}

async function saga(wishes: readonly Wish[], g: fc.GeneratorValue): Promise<void> {
  const run = new Saga(wishes, g);
  await run.begin();
  for (let step = 0; step < WILD_STEPS; step++) await run.step();
  await run.settleDown();
  await verify(run.sale, run.buyers, run.purchases, run.store);
}

function reservedFrom(sale: string, buyers: readonly string[], one: Wish, serial: number): PurchaseReserved {
  const id = `${sale}.${serial % 2}.${randomBytes(17).toString('base64url').slice(0, 22)}`;
  return {
    type: 'reserved',
    id,
    sale,
    sku: one.sku,
    quantity: one.quantity,
    buyer: buyers[one.buyer] as string,
    amountMinor: PRICE * one.quantity,
    currency: 'EUR',
    epoch: 1,
    correlationId: id,
    reservedAt: serial,
    expiresAt: one.short ? 1 : 1_000,
  };
}

/** Sold is what is paid and not refunded, within the guards; each charge has a sale or a refund; Redis agrees. */
async function verify(
  sale: string,
  buyers: readonly string[],
  purchases: readonly PurchaseReserved[],
  store: ModelStore,
): Promise<void> {
  const rows = await orders.purchase.findMany({ where: { sale } });
  const charges = new Map((await payments.charge.findMany({ where: { sale } })).map((one) => [one.purchaseId, one]));
  assert.equal(rows.length, purchases.length);
  for (const row of rows) {
    const charge = charges.get(row.id)?.status ?? 'none';
    const allowed = {
      paid: ['charged'],
      refunded: ['refunded'],
      refused: ['refused'],
      expired: ['refused', 'none'],
      reserved: [],
    };
    assert.ok((allowed[row.status] as string[]).includes(charge), `${row.status} in the ledger, ${charge} in the book`);
    const hold = store.holds.get(row.id);
    if (hold) assert.equal(hold.status, row.status, 'Redis and ledger agree');
  }
  const units = (list: typeof rows): number => list.reduce((sum, row) => sum + row.quantity, 0);
  const paid = rows.filter(({ status }) => status === 'paid');
  for (const { sku, sold } of await orders.allocation.findMany({ where: { sale } })) {
    assert.equal(Number(sold), units(paid.filter((row) => row.sku === sku)));
    assert.ok(sold <= ALLOCATED);
  }
  for (const total of await orders.buyerTotal.findMany({ where: { sale } })) {
    assert.equal(total.units, units(paid.filter(({ buyer, sku }) => buyer === total.buyer && sku === total.sku)));
    assert.ok(total.units <= LIMIT);
  }
  for (const account of await payments.account.findMany({ where: { buyer: { in: [...buyers] } } })) {
    assert.equal(
      Number(account.creditMinor),
      CREDIT - PRICE * units(paid.filter(({ buyer }) => buyer === account.buyer)),
    );
  }
}

test('whatever comes twice, late, in another order or after a crash: each charge has a sale or a refund', async () => {
  await fc.assert(fc.asyncProperty(fc.array(wish, { minLength: 1, maxLength: 12 }), fc.gen(), saga), {
    numRuns: 30,
    endOnFailure: true,
  });
});
