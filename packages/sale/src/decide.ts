/**
 * The specification of the stock of a sale: what each request must answer. Nothing serves buyers with this; the scripts
 * in `lua` are tested against it. It knows no shards, counters or bitmaps: everything is counted anew from the list of
 * holds, so that it is plain to see that no unit is sold twice.
 */
import { canBecome, columnOf } from './purchase.ts';
import type { ReleaseRequest, ReserveRequest, ResolveAnswer, SettleRequest } from './ports.ts';
import type { ReserveCode } from './outcome.ts';
import type { Hold, PurchaseStatus, StockLevel } from './types.ts';

export interface SaleState {
  /** Undefined: the sale is not in Redis. */
  readonly epoch: number | undefined;
  /** Unix ms. */
  readonly opensAt: number;
  /** Unix ms. */
  readonly closesAt: number;
  readonly gate: 'open' | 'paused' | 'closed';
  readonly holdForMs: number;
  /** Account numbers that may buy; undefined: everybody may. */
  readonly members: ReadonlySet<number> | undefined;
  readonly items: ReadonlyMap<string, { readonly stock: number; readonly perBuyer: number }>;
  /** By purchase id. A hold that has ended stays, so that a repeated request gets the same answer. */
  readonly holds: ReadonlyMap<string, Hold>;
}

/** What a buyer can be answered: as one shard answers, but "this shard is empty" is no answer of a whole sale. */
export type PurchaseCode = Exclude<ReserveCode, 'shardEmpty'> | 'soldOut';

export interface PurchaseAnswer {
  readonly code: PurchaseCode;
  /** With `reserved` and `replayed`. */
  readonly hold?: Hold;
}

export interface PurchaseAsked extends Omit<ReserveRequest, 'correlationId'> {
  readonly sku: string;
  readonly epoch: number;
}

type Decided<A> = readonly [answer: A, state: SaleState];

/** The units of an item, counted from the holds. */
export function levelOf(state: SaleState, sku: string): StockLevel {
  const stock = state.items.get(sku)?.stock ?? 0;
  const units = { held: 0, sold: 0, free: 0 };
  for (const hold of state.holds.values()) if (hold.sku === sku) units[columnOf(hold.status)] += hold.quantity;
  return { stock, held: units.held, sold: units.sold, free: stock - units.held - units.sold };
}

/** The units of an item that a buyer holds or owns. */
export function unitsOf(state: SaleState, sku: string, buyer: string): number {
  return [...state.holds.values()]
    .filter((hold) => hold.sku === sku && hold.buyer.id === buyer && columnOf(hold.status) !== 'free')
    .reduce((units, hold) => units + hold.quantity, 0);
}

/** One purchase at one instant. A batch is its purchases one after the other. `now` is Unix ms. */
export function decidePurchase(state: SaleState, asked: PurchaseAsked, now: number): Decided<PurchaseAnswer> {
  const code = refusal(state, asked, now);
  if (code !== undefined) return [{ code }, state];
  const earlier = state.holds.get(asked.id);
  if (earlier) return [{ code: 'replayed', hold: earlier }, state];
  const { id, sku, quantity, buyer } = asked;
  const hold: Hold = { id, sku, quantity, buyer, status: 'reserved', expiresAt: now + state.holdForMs };
  return [{ code: 'reserved', hold }, withHold(state, hold)];
}

/** Why a purchase is refused; the first reason of this order counts. Undefined: it is not. */
function refusal(state: SaleState, asked: PurchaseAsked, now: number): PurchaseCode | undefined {
  const { id, sku, quantity, buyer } = asked;
  const item = state.items.get(sku);
  if (state.epoch === undefined || !item) return 'notWarm';
  if (asked.epoch !== state.epoch) return 'wrongEpoch';
  const earlier = state.holds.get(id);
  // What was answered once is answered again, whatever has happened to the sale since.
  if (earlier) return sameBody(earlier, asked) ? undefined : 'keyReused';
  const closed = closedGate(state, now);
  if (closed !== undefined) return closed;
  if (!isMember(state, buyer.number)) return 'notEligible';
  if (unitsOf(state, sku, buyer.id) + quantity > item.perBuyer) return 'limitReached';
  return levelOf(state, sku).free < quantity ? 'soldOut' : undefined;
}

function sameBody(hold: Hold, { sku, quantity }: PurchaseAsked): boolean {
  return hold.sku === sku && hold.quantity === quantity;
}

function closedGate({ gate, opensAt, closesAt }: SaleState, now: number): PurchaseCode | undefined {
  if (gate === 'closed' || now >= closesAt) return 'closed';
  if (now < opensAt) return 'notOpen';
  return gate === 'paused' ? 'paused' : undefined;
}

function isMember({ members }: SaleState, number: number | undefined): boolean {
  return members === undefined || (number !== undefined && members.has(number));
}

/** Payment has come: held becomes sold. A hold that is past its time but was not released yet still settles. */
export function decideSettle(state: SaleState, sku: string, { id, epoch }: SettleRequest): Decided<ResolveAnswer> {
  return resolve(state, sku, { id, epoch, status: 'paid' }, 0);
}

/** A hold ends without a sale, or a sale is given back. `expired` only once the hold's time has passed. */
export function decideRelease(
  state: SaleState,
  sku: string,
  asked: ReleaseRequest,
  now: number,
): Decided<ResolveAnswer> {
  return resolve(state, sku, asked, now);
}

function resolve(
  state: SaleState,
  sku: string,
  { id, epoch, status }: { readonly id: string; readonly epoch: number; readonly status: PurchaseStatus },
  now: number,
): Decided<ResolveAnswer> {
  if (state.epoch === undefined || !state.items.has(sku)) return [{ code: 'notWarm' }, state];
  if (epoch > state.epoch) return [{ code: 'wrongEpoch' }, state];
  const hold = state.holds.get(id);
  if (hold?.sku !== sku) return [{ code: 'missing' }, state];
  if (hold.status === status) return [{ code: 'already', status }, state];
  if (!canBecome(hold.status, status)) return [{ code: 'otherwise', status: hold.status }, state];
  if (status === 'expired' && now < hold.expiresAt) return [{ code: 'notDue', status: hold.status }, state];
  return [{ code: 'done', status }, withHold(state, { ...hold, status })];
}

/** The holds that the sweeper should find. */
export function dueHolds(state: SaleState, now: number): Hold[] {
  return [...state.holds.values()].filter((hold) => hold.status === 'reserved' && hold.expiresAt <= now);
}

function withHold(state: SaleState, hold: Hold): SaleState {
  return { ...state, holds: new Map(state.holds).set(hold.id, hold) };
}
