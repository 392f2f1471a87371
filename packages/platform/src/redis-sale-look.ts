/** Reads of stock over all shards of a sale: the borrowing of units between them, the inspection, and the scan of holds. */
import { setTimeout as pause } from 'node:timers/promises';
import { decodeHold, keys, SaleError } from '@flashsale/sale';
import type {
  BorrowAnswer,
  Hold,
  PublishedSale,
  Sale,
  SaleInspection,
  SaleStore,
  ShardItem,
  StockLevel,
} from '@flashsale/sale';
import { callBorrowDone, callBorrowGive, callBorrowTake, callLook } from '@flashsale/sale/scripts';
import type { RedisConnection } from './redis-connection.ts';
import { itemKeys, notReady, shardsOf } from './redis-sale-keys.ts';

/** Rounds after which a read that never stands still, or a borrowing that others always undo, is given up. */
const MAX_ROUNDS = 40;
const SCAN_COUNT = 500;

type Looking = Pick<SaleStore, 'borrow' | 'inspect' | 'holds'>;

export function lookingOf(redis: RedisConnection): Looking {
  return {
    borrow: (sale, at, quantity) => borrow(redis, sale, at, quantity),
    inspect: (sale) => inspect(redis, sale),
    holds: (sale) => scanHolds(redis, sale),
  };
}

/** One item of one shard at one instant. */
interface Look extends StockLevel {
  readonly epoch: number;
  /** Grows whenever free units are added: returned, raised or received from another shard. */
  readonly changes: number;
  readonly outbox: number;
  /** `out:<to>:<sku>` → number:units, `in:<from>:<sku>` → number, `seq:…`. */
  readonly transfers: ReadonlyMap<string, string>;
}

/** Undefined where the shard is not warm. */
async function look(redis: RedisConnection, at: ShardItem): Promise<Look | undefined> {
  const reply = await callLook(redis.run, itemKeys(at));
  const [epoch, stock, free, held, sold, changes, outbox] = reply.slice(0, 7).map(Number);
  if (epoch === undefined || epoch < 0) return undefined;
  const transfers = new Map<string, string>();
  for (let i = 7; i + 1 < reply.length; i += 2) transfers.set(String(reply[i]), String(reply[i + 1]));
  return { epoch, stock, free, held, sold, changes, outbox, transfers } as Look;
}

interface Transfer {
  readonly from: number;
  readonly to: number;
  readonly number: number;
  readonly units: number;
}

function openTransfers(looks: readonly Look[], sku: string): Transfer[] {
  const open: Transfer[] = [];
  looks.forEach((one, from) => {
    for (const [field, value] of one.transfers) {
      const match = /^out:(\d+):(.*)$/s.exec(field);
      if (match?.[2] !== sku) continue;
      const [number, units] = value.split(':').map(Number) as [number, number];
      open.push({ from, to: Number(match[1]), number, units });
    }
  });
  return open;
}

async function lookAll(redis: RedisConnection, sale: PublishedSale, sku: string): Promise<Look[]> {
  const looks = await Promise.all(
    shardsOf(sale).map(async (shard) => {
      const one = await look(redis, { sale: sale.name, shard, sku });
      if (one?.epoch !== sale.epoch) throw notReady(sale.name, shard, one ? -9 : -8);
      return one;
    }),
  );
  return looks;
}

async function borrow(
  redis: RedisConnection,
  sale: PublishedSale,
  at: ShardItem,
  quantity: number,
): Promise<BorrowAnswer> {
  let moved = 0;
  let before: readonly Look[] = [];
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const looks = await lookAll(redis, sale, at.sku);
    const open = openTransfers(looks, at.sku);
    const held = looks.reduce((sum, one) => sum + one.held, 0);
    const changes = looks.reduce((sum, one) => sum + one.changes, 0);
    const here = looks[at.shard]?.free ?? 0;
    if (open.length > 0) {
      // Whoever finds a transfer completes it: its borrower may have crashed.
      for (const transfer of open) moved += await complete(redis, sale, at, transfer);
    } else if (here >= quantity) {
      // Units may also have come back here by themselves.
      return { moved: Math.max(moved, here), held, changes };
    } else if (totalFree(looks) >= quantity) {
      moved += await fetchUnits(redis, sale, at, { from: fullestBut(at.shard, looks), least: quantity - here });
    } else if (totalFree(before) < quantity && sameChanges(before, looks)) {
      // Double collect: twice there were too few, nothing was added in between, and reservations and lending
      // only take units away; so at the instant between the two reads there were too few.
      return { moved: 0, held, changes };
    }
    before = looks;
    await standBack(round);
  }
  throw new SaleError('try_again_later', 'The stock is moving too fast to be counted');
}

/**
 * Two borrowers who each need what the other has would take it from each other for ever: from the fourth round on, each
 * waits at random, longer and longer, up to 20 ms, so that one of them gets through.
 */
async function standBack(round: number): Promise<void> {
  if (round >= 3) await pause(Math.random() * Math.min(round, 20));
}

const totalFree = (looks: readonly Look[]): number => looks.reduce((sum, one) => sum + Math.max(one.free, 0), 0);

function sameChanges(a: readonly Look[], b: readonly Look[]): boolean {
  return a.length > 0 && a.every((one, shard) => one.changes === b[shard]?.changes);
}

function fullestBut(home: number, looks: readonly Look[]): number {
  let best = -1;
  looks.forEach((one, shard) => {
    if (shard !== home && (best < 0 || one.free > (looks[best]?.free ?? 0))) best = shard;
  });
  return best;
}

/** Returns the units that came into `at`'s shard: 0 where somebody else was faster. */
async function fetchUnits(
  redis: RedisConnection,
  sale: PublishedSale,
  at: ShardItem,
  { from, least }: { readonly from: number; readonly least: number },
): Promise<number> {
  const lender = itemKeys({ ...at, shard: from });
  const reply = await callBorrowTake(redis.run, lender, { epoch: sale.epoch, sku: at.sku, to: at.shard, least });
  const [code, number, units] = reply as [number, number, number];
  if (code < 0) throw notReady(at.sale, from, code);
  return code === 0 ? 0 : complete(redis, sale, at, { from, to: at.shard, number, units });
}

/** Gives, then forgets. Returns the units that this call put into `at`'s shard. */
async function complete(
  redis: RedisConnection,
  sale: PublishedSale,
  at: ShardItem,
  transfer: Transfer,
): Promise<number> {
  const { from, to, number, units } = transfer;
  const fence = { epoch: sale.epoch, sku: at.sku, transfer: number };
  const given = await callBorrowGive(redis.run, itemKeys({ ...at, shard: to }), { ...fence, from, units });
  if (given < 0) throw notReady(at.sale, to, given);
  const done = await callBorrowDone(redis.run, itemKeys({ ...at, shard: from }), { ...fence, to });
  if (done < 0) throw notReady(at.sale, from, done);
  return given === 1 && to === at.shard ? units : 0;
}

async function inspect(redis: RedisConnection, sale: Sale): Promise<SaleInspection | undefined> {
  let before: (Look | undefined)[][] | undefined;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const looks = await Promise.all(
      sale.items.map(({ sku }) =>
        Promise.all(shardsOf(sale).map((shard) => look(redis, { sale: sale.name, shard, sku }))),
      ),
    );
    if (!allWarm(looks)) return undefined;
    // Units moving while the shards are read one after the other would be counted twice or not at all.
    if (before && sameTransfers(before, looks)) return inspection(sale, looks);
    before = looks;
  }
  throw new SaleError('try_again_later', 'The stock is moving too fast to be counted');
}

function allWarm(looks: readonly (readonly (Look | undefined)[])[]): looks is readonly (readonly Look[])[] {
  const all = looks.flat();
  return all.length > 0 && all.every((one) => one !== undefined && one.epoch === all[0]?.epoch);
}

function sameTransfers(a: readonly (readonly (Look | undefined)[])[], b: readonly (readonly Look[])[]): boolean {
  return b.every((shards, i) =>
    shards.every((one, shard) => {
      const then = a[i]?.[shard]?.transfers;
      return (
        then?.size === one.transfers.size && [...one.transfers].every(([field, value]) => then.get(field) === value)
      );
    }),
  );
}

function inspection(sale: Sale, looks: readonly (readonly Look[])[]): SaleInspection {
  const items = new Map<string, StockLevel>();
  sale.items.forEach(({ sku }, i) => {
    const shards = looks[i] ?? [];
    const sum = (read: (one: Look) => number): number => shards.reduce((total, one) => total + read(one), 0);
    const inTransit = openTransfers(shards, sku)
      .filter(({ from, to, number }) => Number(shards[to]?.transfers.get(`in:${from}:${sku}`) ?? 0) < number)
      .reduce((total, { units }) => total + units, 0);
    items.set(sku, {
      stock: sum((one) => one.stock),
      free: sum((one) => one.free) + inTransit,
      held: sum((one) => one.held),
      sold: sum((one) => one.sold),
    });
  });
  const first = looks[0] ?? [];
  return { epoch: first[0]?.epoch ?? 0, items, outbox: first.reduce((total, one) => total + one.outbox, 0) };
}

async function* scanHolds(redis: RedisConnection, sale: Sale): AsyncIterable<Hold> {
  for (const shard of shardsOf(sale)) {
    // HSCAN may return a field twice.
    const seen = new Set<string>(['']);
    let cursor: string | undefined = '0';
    while (cursor !== undefined) {
      const page: ScanPage = await scanPage(redis, keys.holds(sale.name, shard), cursor);
      cursor = page.next;
      yield* page.holds.filter(({ id }) => !seen.has(id) && seen.add(id));
    }
  }
}

interface ScanPage {
  readonly next: string | undefined;
  readonly holds: readonly Hold[];
}

async function scanPage(redis: RedisConnection, key: string, cursor: string): Promise<ScanPage> {
  const [next, flat] = await redis.command<[string, string[]]>('HSCAN', key, cursor, 'COUNT', SCAN_COUNT);
  const holds: Hold[] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) {
    // The field without a name only keeps the key in being.
    if (flat[i] !== '') holds.push(decodeHold(flat[i] as string, flat[i + 1] as string).hold);
  }
  return { next: next === '0' ? undefined : next, holds };
}
