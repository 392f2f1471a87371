/** The hot path of the sale store: reserve, release and settle holds, and read single ones. */
import { decodeHold, holdBody, parsePurchaseId, PURCHASE_STATUSES, RESERVE, RESOLVE, keys } from '@flashsale/sale';
import type {
  DueHold,
  PublishedSale,
  ReleaseRequest,
  ReserveAnswer,
  ReserveCode,
  ReserveRequest,
  ResolveAnswer,
  ResolveCode,
  SaleStore,
  SettleRequest,
  ShardItem,
} from '@flashsale/sale';
import { callDue, callRelease, callReserve, callSettle } from '@flashsale/sale/scripts';
import type { RedisConnection } from './redis-connection.ts';
import { itemKeys } from './redis-sale-keys.ts';
import { publishMessage } from './redis-signals.ts';

/** Most purchases in one script call: it blocks the server for about 2 ms, and Lua can unpack some thousand values. */
const MAX_BATCH = 250;

const RESERVE_NAMES = namesOf<ReserveCode>(RESERVE);
const RESOLVE_NAMES = namesOf<ResolveCode>(RESOLVE);

type Purchases = Pick<SaleStore, 'reserve' | 'release' | 'settle' | 'hold' | 'due'>;

export function purchasesOf(redis: RedisConnection): Purchases {
  return {
    reserve: (sale, at, batch) => inChunks(batch, (chunk) => reserve(redis, sale, at, chunk)),
    release: (at, batch) => inChunks(batch, (chunk) => release(redis, at, chunk)),
    settle: (at, batch) => inChunks(batch, (chunk) => settle(redis, at, chunk)),

    async hold(id) {
      const ref = parsePurchaseId(id);
      if (!ref) return undefined;
      const text = await redis.command<string | null>('HGET', keys.holds(ref.sale, ref.shard), id);
      return text === null ? undefined : decodeHold(id, text).hold;
    },

    async due(sale, shard, limit): Promise<DueHold[]> {
      const found = await callDue(redis.run, { due: keys.due(sale, shard), holds: keys.holds(sale, shard) }, { limit });
      return pairs(found).map(([id, sku]) => ({ id, sku }));
    },
  };
}

async function reserve(
  redis: RedisConnection,
  sale: PublishedSale,
  at: ShardItem,
  batch: readonly ReserveRequest[],
): Promise<ReserveAnswer[]> {
  const each = batch.map((request) => {
    checkRequest(request);
    return { id: request.id, body: holdBody(request) };
  });
  const reply = await callReserve(redis.run, itemKeys(at), { epoch: sale.epoch, sku: at.sku }, each);
  const expiresAt = Number(reply[0]);
  return batch.map(({ id, quantity, buyer }, i): ReserveAnswer => {
    const answer = reply[i + 1];
    if (typeof answer === 'string') return { code: 'replayed', hold: decodeHold(id, answer).hold };
    const code = nameOf(RESERVE_NAMES, answer);
    if (code !== 'reserved') return { code };
    return { code, hold: { id, sku: at.sku, quantity, buyer, status: 'reserved', expiresAt } };
  });
}

/** A quantity below 1 would add stock: nothing but whole units may reach the script. */
function checkRequest({ id, quantity, buyer }: ReserveRequest): void {
  const { number } = buyer;
  const sound = Number.isSafeInteger(quantity) && quantity >= 1 && buyer.id !== '';
  if (sound && (number === undefined || (Number.isSafeInteger(number) && number >= 0))) return;
  throw new RangeError(`The purchase ${id} has no whole quantity from 1, or no proper buyer`);
}

async function release(
  redis: RedisConnection,
  at: ShardItem,
  batch: readonly ReleaseRequest[],
): Promise<ResolveAnswer[]> {
  const each = batch.map(({ id, status, epoch }) => ({ id, status: PURCHASE_STATUSES.indexOf(status), epoch }));
  const [returned, ...answers] = await callRelease(redis.run, itemKeys(at), { sku: at.sku }, each);
  if (returned !== undefined && returned > 0) {
    // Told after the fact and at most once: who missed it forgets "sold out" by himself within 200 ms.
    await publishMessage(redis, { type: 'returned', sale: at.sale, sku: at.sku }).catch(() => 0);
  }
  return answersOf(answers);
}

async function settle(
  redis: RedisConnection,
  at: ShardItem,
  batch: readonly SettleRequest[],
): Promise<ResolveAnswer[]> {
  const each = batch.map(({ id, epoch }) => ({ id, epoch }));
  const [, ...answers] = await callSettle(redis.run, itemKeys(at), { sku: at.sku }, each);
  return answersOf(answers);
}

function answersOf(numbers: readonly number[]): ResolveAnswer[] {
  return pairs(numbers).map(([number, index]) => {
    const code = nameOf(RESOLVE_NAMES, number);
    const status = PURCHASE_STATUSES[index];
    return status === undefined ? { code } : { code, status };
  });
}

async function inChunks<In, Out>(all: readonly In[], work: (chunk: readonly In[]) => Promise<Out[]>): Promise<Out[]> {
  if (all.length === 0) return [];
  if (all.length <= MAX_BATCH) return work(all);
  const out: Out[] = [];
  for (let from = 0; from < all.length; from += MAX_BATCH) out.push(...(await work(all.slice(from, from + MAX_BATCH))));
  return out;
}

function pairs<T>(flat: readonly T[]): [T, T][] {
  const out: [T, T][] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) out.push([flat[i] as T, flat[i + 1] as T]);
  return out;
}

function namesOf<Name extends string>(codes: Readonly<Record<Name, number>>): ReadonlyMap<number, Name> {
  return new Map(Object.entries(codes).map(([name, code]) => [code as number, name as Name]));
}

function nameOf<Name>(names: ReadonlyMap<number, Name>, code: number | undefined): Name {
  const name = code === undefined ? undefined : names.get(code);
  if (name === undefined) throw new Error(`A script answered ${code}, which is no code`);
  return name;
}
