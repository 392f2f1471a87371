/** Ends purchases in the sale store shard by shard: an event's purchase id says where its hold is kept. */
import type { PurchaseFacts, SaleEvent } from './events.ts';
import type { ResolveAnswer, SaleStore } from './ports.ts';
import { parsePurchaseId } from './purchase-id.ts';
import type { PublishedSale, ShardItem } from './types.ts';

/** Redis has not got the sale, or has lost writes of it: nothing may be decided until the operator has rebuilt it. */
export class StoreNotReady extends Error {
  constructor(at: ShardItem, code: string) {
    super(`The stock of ${at.sku} in ${at.sale}, shard ${at.shard}, answers ${code}`);
    this.name = 'StoreNotReady';
  }
}

/** Where the hold of a purchase is kept. Undefined where the id is malformed or names another sale than the event. */
export function shardItemOf(event: PurchaseFacts): ShardItem | undefined {
  const ref = parsePurchaseId(event.id);
  return ref?.sale === event.sale ? { sale: ref.sale, shard: ref.shard, sku: event.sku } : undefined;
}

/** Parts events into those that can be booked, in their order, and those that no retry can help. */
export function soundEvents<E extends PurchaseFacts>(
  events: readonly E[],
): { sound: E[]; failures: { event: E; error: unknown }[] } {
  const sound: E[] = [];
  const failures: { event: E; error: unknown }[] = [];
  for (const event of events) {
    const flaw = flawOf(event);
    if (flaw === undefined) sound.push(event);
    else failures.push({ event, error: new Error(`${event.id}: ${flaw}`) });
  }
  return { sound, failures };
}

const INT32_MAX = 2 ** 31 - 1;
/** Longest id of a buyer, as OpenID Connect has it. A row of PostgreSQL's index holds 2.7 kB. */
export const MAX_BUYER = 255;
/** The last time that there is, Unix ms. */
const MAX_TIME = 8.64e15;
const isCount = (value: number, min: number, max: number): boolean =>
  Number.isInteger(value) && value >= min && value <= max;

/** What a database would refuse: one such event would hold up its whole batch, and all behind it, for good. */
function flawOf(event: PurchaseFacts): string | undefined {
  if (!shardItemOf(event)) return 'the purchase id does not fit the sale';
  if (!isCount(event.quantity, 1, INT32_MAX)) return 'quantity is not a whole number from 1';
  if (!isCount(event.epoch, 0, INT32_MAX)) return 'epoch is not a whole number';
  if (!isCount(event.amountMinor, 0, Number.MAX_SAFE_INTEGER)) return 'amountMinor is not a whole number';
  if (!isCount(event.buyerNumber ?? 0, 0, Number.MAX_SAFE_INTEGER)) return 'buyerNumber is not a whole number';
  if (!isCount(event.buyer.length, 1, MAX_BUYER)) return `buyer is not 1 to ${MAX_BUYER} characters long`;
  return flawInParts(event);
}

/** Parts that only some types of events have, as they came: nobody has looked at them. */
interface Parts {
  readonly reason?: unknown;
  readonly at?: unknown;
  readonly reservedAt?: unknown;
}

function flawInParts(event: PurchaseFacts & Parts): string | undefined {
  const { reason = '', at = 0, reservedAt = 0 } = event;
  if (typeof reason !== 'string') return 'reason is not a text';
  for (const time of [at, reservedAt]) {
    if (!(typeof time === 'number' && time >= 0 && time <= MAX_TIME)) return 'a time is out of range';
  }
  // PostgreSQL's text cannot hold it.
  const texts = `${event.sku}${event.buyer}${event.currency}${reason}`;
  return texts.includes('\0') ? 'a text holds a NUL character' : undefined;
}

/**
 * Calls `resolve` (settle or release) once for each shard and item, for sound events only. Answers by purchase id.
 * Throws StoreNotReady where a shard is not warm or has lost writes; some other shards may have been done by then.
 */
export async function resolveByShard<E extends PurchaseFacts>(
  events: readonly E[],
  resolve: (at: ShardItem, batch: readonly E[]) => Promise<readonly ResolveAnswer[]>,
): Promise<Map<string, ResolveAnswer>> {
  const groups = new Map<string, { at: ShardItem; batch: Map<string, E> }>();
  for (const event of events) {
    const at = shardItemOf(event);
    if (!at) continue;
    const key = `${at.sale}.${at.shard}.${at.sku}`;
    const group = groups.get(key) ?? { at, batch: new Map<string, E>() };
    group.batch.set(event.id, event);
    groups.set(key, group);
  }
  const answers = new Map<string, ResolveAnswer>();
  await Promise.all(
    [...groups.values()].map(async ({ at, batch }) => {
      const asked = [...batch.values()];
      const given = await resolve(at, asked);
      asked.forEach((event, i) => answers.set(event.id, checked(at, given[i])));
    }),
  );
  return answers;
}

function checked(at: ShardItem, answer: ResolveAnswer | undefined): ResolveAnswer {
  if (!answer || answer.code === 'notWarm' || answer.code === 'wrongEpoch') {
    throw new StoreNotReady(at, answer?.code ?? 'too few answers');
  }
  return answer;
}

type Handle = (events: readonly SaleEvent[]) => Promise<readonly { event: SaleEvent; error: unknown }[]>;

/**
 * Keeps what will never be ready from holding up all else: where `handle` throws StoreNotReady, events of sales that
 * are not published any more, or of an item or shard that their sale has not got, fail on their own, and the others are
 * handled without them. A sale that is published is being rebuilt, and a Redis that knows of no publication at all has
 * lost everything: then the error stands.
 */
export function putOffUnpublished(store: Pick<SaleStore, 'published' | 'publishedVersion'>, handle: Handle): Handle {
  return async (events) => {
    try {
      return await handle(events);
    } catch (error) {
      if (!(error instanceof StoreNotReady) || (await store.publishedVersion()) === 0) throw error;
      const published = new Map((await store.published()).map((sale) => [sale.name, sale]));
      const here = events.filter((event) => has(published.get(event.sale), event));
      if (here.length === events.length) throw error;
      const failures = here.length > 0 ? await handle(here) : [];
      const kept = new Set(here);
      const gone = events.filter((event) => !kept.has(event));
      return [...failures, ...gone.map((event) => ({ event, error }))];
    }
  };
}

/** An event without a proper id is left to the handler, which sets it apart. */
function has(sale: PublishedSale | undefined, event: SaleEvent): boolean {
  const shard = shardItemOf(event)?.shard ?? 0;
  return sale !== undefined && shard < sale.warm.shards && sale.items.some(({ sku }) => sku === event.sku);
}
