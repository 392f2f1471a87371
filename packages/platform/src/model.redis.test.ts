/**
 * The scripts on a real Redis answer as the specification does (decide.ts in packages/sale), for random buyers,
 * quantities, endings, repeated ids, messages in any order, gates, epochs, losses of data, and 1 to 8 shards.
 * On a failure fast-check prints the seed and the shortest sequence that it found.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { testRedis } from '@flashsale/local/testing';
import {
  conserves,
  decidePurchase,
  decideRelease,
  decideSettle,
  dueHolds,
  homeShard,
  levelOf,
  parsePurchaseId,
  purchaseId,
  unitsOf,
} from '@flashsale/sale';
import type {
  Buyer,
  Hold,
  PublishedSale,
  PurchaseAnswer,
  PurchaseAsked,
  ReleaseRequest,
  ReserveAnswer,
  ResolveAnswer,
  SaleState,
  SaleStore,
  ShardItem,
} from '@flashsale/sale';
import { createLogger } from './log.ts';
import { act, BUYERS, HOUR, KEYS, MEMBERS, scenario, SHORT_MS, SKUS } from './model-acts.fixture.ts';
import type { Act, Ask, Pick, Scenario } from './model-acts.fixture.ts';
import { connectRedis, createSaleStore } from './redis.ts';
import type { RedisConnection } from './redis.ts';

const RUNS = 2_000;
/** Sales led at the same time: one alone would mostly wait for replies. */
const LANES = 4;

let redis: RedisConnection;
let store: SaleStore;
let names = 0;

before(async () => {
  redis = connectRedis(await testRedis(), createLogger('model-test', 'silent'));
  await redis.start();
  store = createSaleStore(redis);
});
after(() => redis.stop());

/** One sale in Redis and its specification, led through the same acts. */
class Run {
  sale: PublishedSale;
  state: SaleState;
  /** Purchase ids that the relay must have been told of, by event type, in the order in which they happened. */
  readonly told = { reserved: [] as string[], expired: [] as string[] };
  /** False once data was lost or rebuilt: what was in the outbox is in the log or gone. */
  outboxWhole = true;

  constructor({ shards, stocks, limits, membersOnly }: Scenario) {
    const now = Date.now();
    this.sale = {
      name: `model-${process.pid}-${now.toString(36)}-${names++}`,
      namespace: 'shop',
      opensAt: now - HOUR,
      closesAt: now + HOUR,
      paused: false,
      notReady: 'Delay',
      items: SKUS.map((sku, i) => ({
        sku,
        title: sku,
        stock: stocks[i] ?? 1,
        perBuyer: limits[i] ?? 1,
        price: { minor: 100, currency: 'EUR' },
      })),
      holdForMs: HOUR,
      membersOnly,
      warm: { leadTimeMs: 0, shards, cache: { ttlMs: 1, jitter: 0, pages: 0 } },
      scale: [],
      epoch: 1,
      phase: 'Open',
    };
    this.state = {
      epoch: 1,
      opensAt: this.sale.opensAt,
      closesAt: this.sale.closesAt,
      gate: 'open',
      holdForMs: HOUR,
      members: membersOnly ? new Set(MEMBERS) : undefined,
      items: new Map(this.sale.items.map(({ sku, stock, perBuyer }) => [sku, { stock, perBuyer }])),
      holds: new Map(),
    };
  }

  async start(): Promise<void> {
    assert.equal(await store.warm(this.sale, 1), 1);
    await this.admit();
  }

  private async admit(): Promise<void> {
    if (this.sale.membersOnly) await store.admitMembers(this.sale, MEMBERS);
  }

  async act(act: Act): Promise<void> {
    switch (act.kind) {
      case 'purchase':
        return this.purchase(act.asks, act.epochOff);
      case 'settle':
        return this.resolve(act.picks, act.epochOff, undefined);
      case 'release':
        return this.resolve(act.picks, act.epochOff, act.status);
      case 'configure':
        return this.configure(act.gate, act.short);
      case 'raise':
        return this.raise(act.units);
      default:
        return this[act.kind]();
    }
  }

  private idOf(buyer: Buyer, key: number): string {
    const digest = `${buyer.id}-${KEYS[key] ?? ''}`.replaceAll(/\W/g, '-').padEnd(22, '_');
    return purchaseId(this.sale.name, homeShard(buyer.id, this.sale.warm.shards), digest);
  }

  private async purchase(asks: readonly Ask[], off: number): Promise<void> {
    const epoch = this.sale.epoch + off;
    const asked = asks.map(({ buyer, key, sku, quantity }): PurchaseAsked => {
      const who = BUYERS[buyer] as Buyer;
      return { id: this.idOf(who, key), buyer: who, sku: SKUS[sku] as string, quantity, epoch };
    });
    for (const [at, batch] of this.byShard(asked)) await this.reserve({ ...this.sale, epoch }, at, batch);
  }

  /**
   * One call for the batch, then one purchase at a time for those that found the shard empty. After a borrowing that
   * moved nothing the purchase is asked once more: the same purchase may have been admitted in between.
   */
  private async reserve(sale: PublishedSale, at: ShardItem, batch: readonly PurchaseAsked[]): Promise<void> {
    const answers = await this.ask(sale, at, batch);
    const hungry = batch.filter((_, i) => answers[i]?.code === 'shardEmpty');
    for (const asked of hungry) {
      const { moved } = await store.borrow(sale, at, asked.quantity);
      const [again] = await this.ask(sale, at, [asked]);
      if (again?.code !== 'shardEmpty') continue;
      assert.equal(moved, 0, 'units were borrowed, but the shard is empty');
      this.expect(asked, { code: 'soldOut' }, Date.now());
    }
  }

  private async ask(sale: PublishedSale, at: ShardItem, batch: readonly PurchaseAsked[]): Promise<ReserveAnswer[]> {
    const requests = batch.map(({ id, buyer, quantity }) => ({ id, buyer, quantity, correlationId: 'c' }));
    const earliest = Date.now();
    const answers = await store.reserve(sale, at, requests);
    const latest = Date.now();
    assert.equal(answers.length, batch.length);
    batch.forEach((asked, i) => {
      const answer = answers[i] as ReserveAnswer;
      if (answer.code === 'shardEmpty') return;
      let now = latest;
      if (answer.code === 'reserved' && answer.hold) {
        now = answer.hold.expiresAt - this.state.holdForMs;
        assert.ok(now >= earliest && now <= latest, `a hold from ${earliest} to ${latest} was made at ${now}`);
        this.told.reserved.push(asked.id);
      }
      this.expect(asked, answer as PurchaseAnswer, now);
    });
    return answers;
  }

  private expect(asked: PurchaseAsked, got: PurchaseAnswer, now: number): void {
    const [want, next] = decidePurchase(this.state, asked, now);
    assert.deepEqual(got, want, `${asked.buyer.id} asked for ${asked.quantity} ${asked.sku} as ${asked.id}`);
    this.state = next;
  }

  private async resolve(
    picks: readonly Pick[],
    off: number,
    status: ReleaseRequest['status'] | undefined,
  ): Promise<void> {
    const epoch = this.sale.epoch + off;
    const asked = picks.map((pick) => {
      const { id, sku } = this.picked(pick);
      return { id, epoch, sku: pick.other ? (SKUS.find((one) => one !== sku) as string) : sku };
    });
    for (const [at, batch] of this.byShard(asked)) {
      const now = await this.untilShortHoldsAreDue();
      const got =
        status === undefined
          ? await store.settle(at, batch)
          : await store.release(
              at,
              batch.map(({ id }) => ({ id, epoch, status })),
            );
      const want = batch.map((one) => this.decide(at.sku, { ...one, status }, now));
      assert.deepEqual(got.map(comparable), want.map(comparable), `${status ?? 'paid'} of ${at.sku}`);
    }
  }

  private picked({ buyer, key, nth, any }: Pick): { readonly id: string; readonly sku: string } {
    const holds = [...this.state.holds.values()];
    const hold = any ? undefined : holds[nth % holds.length];
    const id = this.idOf(BUYERS[buyer] as Buyer, key);
    return hold ?? this.state.holds.get(id) ?? { id, sku: SKUS[0] };
  }

  private decide(
    sku: string,
    { id, epoch, status }: { id: string; epoch: number; status: ReleaseRequest['status'] | undefined },
    now: number,
  ): ResolveAnswer {
    const [answer, next] =
      status === undefined
        ? decideSettle(this.state, sku, { id, epoch })
        : decideRelease(this.state, sku, { id, epoch, status }, now);
    if (status === 'expired' && answer.code === 'done') this.told.expired.push(id);
    this.state = next;
    return answer;
  }

  /** Holds last 1 ms or an hour, so that by the real clock each is certainly due or certainly not. */
  private async untilShortHoldsAreDue(): Promise<number> {
    let now = await store.time();
    const short = [...this.state.holds.values()].map(({ expiresAt }) => expiresAt).filter((at) => at < now + HOUR / 2);
    while (short.some((at) => at > now)) now = await store.time();
    return now;
  }

  private async sweep(): Promise<void> {
    const now = await this.untilShortHoldsAreDue();
    const due = await this.due();
    const want = this.state.epoch === undefined ? [] : dueHolds(this.state, now);
    assert.deepEqual(due.map(({ id }) => id).sort(), want.map(({ id }) => id).sort(), 'holds that are due');
    const epoch = this.sale.epoch;
    for (const [at, batch] of this.byShard(due)) {
      const got = await store.release(
        at,
        batch.map(({ id }) => ({ id, epoch, status: 'expired' })),
      );
      assert.deepEqual(
        got,
        batch.map(({ id }) => this.decide(at.sku, { id, epoch, status: 'expired' }, now)),
      );
    }
  }

  private async due(): Promise<{ readonly id: string; readonly sku: string }[]> {
    const shards = Array.from({ length: this.sale.warm.shards }, (_, shard) => shard);
    return (await Promise.all(shards.map((shard) => store.due(this.sale.name, shard, 100)))).flat();
  }

  private async configure(gate: 'open' | 'paused' | 'early' | 'over', short: boolean): Promise<void> {
    if (this.state.epoch === undefined) return;
    const now = Date.now();
    const opensAt = gate === 'early' ? now + HOUR : now - 2 * HOUR;
    const closesAt = gate === 'over' ? now - HOUR : now + 2 * HOUR;
    const holdForMs = short ? SHORT_MS : HOUR;
    const paused = gate === 'paused';
    this.sale = { ...this.sale, opensAt, closesAt, holdForMs, paused };
    await store.configure(this.sale, this.sale.epoch);
    const closed = this.state.gate === 'closed';
    this.state = { ...this.state, opensAt, closesAt, holdForMs, gate: closed ? 'closed' : paused ? 'paused' : 'open' };
  }

  private async raise(units: number): Promise<void> {
    if (this.state.epoch === undefined) return;
    this.sale = { ...this.sale, items: this.sale.items.map((item) => ({ ...item, stock: item.stock + units })) };
    await store.configure(this.sale, this.sale.epoch);
    this.state = { ...this.state, items: this.items() };
  }

  private items(): SaleState['items'] {
    return new Map(this.sale.items.map(({ sku, stock, perBuyer }) => [sku, { stock, perBuyer }]));
  }

  private async close(): Promise<void> {
    await store.close(this.sale.name, this.sale.warm.shards, this.sale.epoch);
    if (this.state.epoch !== undefined) this.state = { ...this.state, gate: 'closed' };
  }

  private async lose(): Promise<void> {
    await store.purge(this.sale);
    this.outboxWhole = false;
    this.state = { ...this.state, epoch: undefined };
  }

  private async rebuild(): Promise<void> {
    const epoch = this.sale.epoch + 1;
    this.sale = { ...this.sale, epoch };
    await store.rebuild(this.sale, epoch, [...this.state.holds.values()]);
    await this.admit();
    this.outboxWhole = false;
    const { opensAt, closesAt, holdForMs, paused } = this.sale;
    this.state = { ...this.state, epoch, opensAt, closesAt, holdForMs, gate: paused ? 'paused' : 'open' };
  }

  /** Redis as a whole against the specification: levels, every hold, limits, and what the relay was told. */
  async check(): Promise<void> {
    const seen = await store.inspect(this.sale);
    assert.equal(seen?.epoch, this.state.epoch);
    if (!seen) return;
    for (const { sku, perBuyer } of this.sale.items) {
      const level = levelOf(this.state, sku);
      assert.ok(conserves(level));
      assert.deepEqual(seen.items.get(sku), level);
      for (const { id } of BUYERS) assert.ok(unitsOf(this.state, sku, id) <= perBuyer);
    }
    const holds = new Map<string, Hold>();
    for await (const hold of store.holds(this.sale)) holds.set(hold.id, hold);
    assert.deepEqual(holds, this.state.holds);
    if (this.outboxWhole) await this.checkOutbox();
  }

  private async checkOutbox(): Promise<void> {
    const told = { reserved: [] as string[], expired: [] as string[] };
    for (let shard = 0; shard < this.sale.warm.shards; shard++) {
      const entries = await store.readOutbox(this.sale.name, shard, 'model', 500, 0);
      for (const event of entries.flatMap((entry) => entry.events)) {
        if (event.type === 'reserved' || event.type === 'expired') told[event.type].push(event.id);
      }
    }
    for (const type of ['reserved', 'expired'] as const)
      assert.deepEqual(told[type].sort(), this.told[type].sort(), type);
  }

  private *byShard<T extends { readonly id: string; readonly sku: string }>(
    all: readonly T[],
  ): Iterable<[ShardItem, T[]]> {
    const groups = Map.groupBy(all, ({ id, sku }) => `${parsePurchaseId(id)?.shard ?? 0} ${sku}`);
    for (const [group, batch] of groups) {
      const [shard, sku] = group.split(' ') as [string, string];
      yield [{ sale: this.sale.name, shard: Number(shard), sku }, batch];
    }
  }
}

/** The specification says nothing of a status where the epoch is wrong. */
const comparable = ({ code, status }: ResolveAnswer): ResolveAnswer =>
  code === 'wrongEpoch' || status === undefined ? { code } : { code, status };

async function leadOne(given: Scenario, acts: readonly Act[]): Promise<void> {
  const run = new Run(given);
  try {
    await run.start();
    for (const one of acts) await run.act(one);
    await run.check();
  } finally {
    await store.purge(run.sale);
  }
}

test(`${RUNS} random sales answer as the specification`, { timeout: 300_000 }, async () => {
  const property = fc.asyncProperty(scenario, fc.array(act, { maxLength: 20, size: 'max' }), leadOne);
  await Promise.all(Array.from({ length: LANES }, () => fc.assert(property, { numRuns: RUNS / LANES })));
});
