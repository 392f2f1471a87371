/** The proof: compares Redis, the log (Kafka) and the ledger, each read in full and on its own, and says what does not add up. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import {
  TOPICS,
  type Hold,
  type Ledger,
  type LedgerEntry,
  type LedgerTotals,
  type PurchaseLog,
  type Sale,
  type SaleEvent,
  type SaleInspection,
  type SaleStore,
} from '@flashsale/sale';
import type { Proof } from './status.ts';

export type { Proof } from './status.ts';

export interface ProofSources {
  readonly store: Pick<SaleStore, 'inspect' | 'holds' | 'time'>;
  readonly log: Pick<PurchaseLog, 'readAll'>;
  readonly ledger: Pick<Ledger, 'totals' | 'entries'>;
}

/** What was read, before it is judged. Maps are by purchase id. */
export interface Evidence {
  readonly now: number;
  readonly inspection: SaleInspection | undefined;
  readonly holds: ReadonlyMap<string, Hold>;
  /** Purchase id → event types seen, from both topics. */
  readonly log: ReadonlyMap<string, LoggedPurchase>;
  readonly entries: ReadonlyMap<string, LedgerEntry>;
  readonly totals: readonly LedgerTotals[];
  /** False where counters moved while the rows they count were read: then the two cannot be compared. */
  readonly steady: { readonly redis: boolean; readonly ledger: boolean };
}

export interface LoggedPurchase {
  readonly types: ReadonlySet<SaleEvent['type']>;
  readonly expiresAt: number;
}

/** A purchase may end this long after its hold ran out: sweep, relay and ledger need their turn. */
const GRACE_MS = 10_000;
/** Named in words, at most this many of a kind; the rest is counted. */
const MOST_NAMED = 5;

export interface ProveOptions {
  /** How often a proof that does not hold is taken again: purchases under way are not problems. */
  readonly attempts?: number;
  readonly pauseMs?: number;
  /** Ends the pause between two readings: then `prove` throws the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * Takes the proof. The three stores are not read at one instant, so a purchase under way may look torn:
 * only problems found in every one of `attempts` readings count.
 */
export async function prove(sale: Sale, sources: ProofSources, options: ProveOptions = {}): Promise<Proof> {
  const { attempts = 5, pauseMs = 1000, signal } = options;
  let proof = judge(sale, await gatherEvidence(sale, sources));
  let lasting = new Set(proof.problems);
  for (let taken = 1; taken < attempts && lasting.size > 0; taken++) {
    await sleep(pauseMs, undefined, signal && { signal });
    proof = judge(sale, await gatherEvidence(sale, sources));
    lasting = new Set(proof.problems.filter((problem) => lasting.has(problem)));
  }
  return {
    ...proof,
    problems: [...lasting],
    holds: lasting.size === 0 && proof.oversold === 0 && proof.doubleBuyers === 0,
  };
}

export async function gatherEvidence(sale: Sale, { store, log, ledger }: ProofSources): Promise<Evidence> {
  const logged = await readLog(sale.name, log);
  const totals = await ledger.totals(sale.name);
  const entries = new Map<string, LedgerEntry>();
  for await (const entry of ledger.entries(sale.name)) entries.set(entry.id, entry);
  const totalsAfter = await ledger.totals(sale.name);
  const inspection = await store.inspect(sale);
  const holds = new Map<string, Hold>();
  for await (const hold of store.holds(sale)) holds.set(hold.id, hold);
  const [inspectionAfter, now] = await Promise.all([store.inspect(sale), store.time()]);
  const steady = {
    redis: isDeepStrictEqual(inspection?.items, inspectionAfter?.items),
    ledger: isDeepStrictEqual(totals, totalsAfter),
  };
  return { now, inspection, holds, log: logged, entries, totals, steady };
}

async function readLog(sale: string, log: ProofSources['log']): Promise<Map<string, LoggedPurchase>> {
  const logged = new Map<string, { types: Set<SaleEvent['type']>; expiresAt: number }>();
  for (const topic of [TOPICS.purchases, TOPICS.payments]) {
    for await (const event of log.readAll(topic)) {
      if (event.sale !== sale) continue;
      const known = logged.get(event.id) ?? { types: new Set(), expiresAt: 0 };
      known.types.add(event.type);
      if (event.type === 'reserved') known.expiresAt = event.expiresAt;
      logged.set(event.id, known);
    }
  }
  return logged;
}

/** The judgement, pure. Every check names what it found, so that somebody can look it up. */
export function judge(sale: Sale, evidence: Evidence): Proof {
  const paid = [...evidence.entries.values()].filter((entry) => entry.status === 'paid');
  const problems = [
    ...checkRedis(sale, evidence),
    ...checkLedgerTotals(evidence, paid),
    ...checkEndings(evidence),
    ...checkAgreement(evidence),
  ];
  const oversold = sum(sale.items.map((item) => Math.max(0, units(paid, item.sku) - item.stock)));
  const doubleBuyers = countDoubleBuyers(sale, paid);
  if (oversold > 0) problems.push(`the ledger has ${oversold} more units sold than were on sale`);
  if (doubleBuyers > 0) problems.push(`${doubleBuyers} buyers have more units than one buyer may have`);
  const levels = [...(evidence.inspection?.items.values() ?? [])];
  return {
    sale: sale.name,
    stock: sum(sale.items.map((item) => item.stock)),
    free: sum(levels.map((level) => level.free)),
    held: sum(levels.map((level) => level.held)),
    sold: sum(paid.map((entry) => entry.quantity)),
    refunded: [...evidence.entries.values()].filter((entry) => entry.status === 'refunded').length,
    oversold,
    doubleBuyers,
    unsettled: unsettledIds(evidence).length,
    holds: problems.length === 0,
    problems,
  };
}

/** Conservation in Redis: the counters against the spec, and against the holds one by one. */
function checkRedis(sale: Sale, { inspection, holds, steady }: Evidence): string[] {
  if (!inspection) return ['Redis has lost the stock of this sale; the operator has not rebuilt it yet'];
  const problems: string[] = [];
  for (const item of sale.items) {
    const level = inspection.items.get(item.sku);
    if (!level) {
      problems.push(`Redis has no stock of ${item.sku}`);
      continue;
    }
    const mine = [...holds.values()].filter((hold) => hold.sku === item.sku);
    const held = sum(mine.filter((hold) => hold.status === 'reserved').map((hold) => hold.quantity));
    const sold = sum(mine.filter((hold) => hold.status === 'paid').map((hold) => hold.quantity));
    if (level.free + level.held + level.sold !== item.stock) {
      problems.push(`${item.sku}: free + held + sold is not the stock of ${item.stock}`);
    }
    if (!steady.redis) continue;
    if (held !== level.held) problems.push(`${item.sku}: the holds in Redis and its counter of held units differ`);
    if (sold !== level.sold) problems.push(`${item.sku}: the paid holds in Redis and its counter of sold units differ`);
  }
  return problems;
}

/** The guard's counters against the purchase rows one by one. */
function checkLedgerTotals({ totals, steady }: Evidence, paid: readonly LedgerEntry[]): string[] {
  if (!steady.ledger) return [];
  return totals
    .filter((total) => total.sold !== units(paid, total.sku))
    .map((total) => `${total.sku}: the ledger's counter of sold units and its paid purchases differ`);
}

/** Every purchase in the log has come to an end in time, and every payment in the log is in the ledger. */
function checkEndings(evidence: Evidence): string[] {
  const lost = [...evidence.log]
    .filter(([id, purchase]) => purchase.types.has('paid') && !isIn(evidence.entries.get(id), ['paid', 'refunded']))
    .map(([id]) => id);
  return [
    ...named('paid for in the log but missing in the ledger (a lost order)', lost),
    ...named('without an ending although the time to pay is over (a stuck hold)', unsettledIds(evidence)),
  ];
}

/** Redis and ledger agree about each sold purchase; every sale in the ledger has its reservation and payment in the log. */
function checkAgreement({ inspection, holds, entries, log }: Evidence): string[] {
  const paid = [...entries.values()].filter((entry) => entry.status === 'paid');
  const unlogged = paid.filter((entry) => !log.get(entry.id)?.types.has('paid')).map((entry) => entry.id);
  const problems = named('sold in the ledger without a payment in the log', unlogged);
  if (!inspection) return problems;
  const unmarked = paid.filter((entry) => holds.get(entry.id)?.status !== 'paid').map((entry) => entry.id);
  const unbacked = [...holds.values()]
    .filter((hold) => hold.status === 'paid' && entries.get(hold.id)?.status !== 'paid')
    .map((hold) => hold.id);
  return [
    ...problems,
    ...named('sold in the ledger but not in Redis', unmarked),
    ...named('sold in Redis but not in the ledger', unbacked),
  ];
}

/** Purchases known to any store that are past their time and without an ending there. */
function unsettledIds({ now, holds, entries, log }: Evidence): string[] {
  const late = new Set<string>();
  const ended = (id: string): boolean => isIn(entries.get(id), ['paid', 'refused', 'expired', 'refunded']);
  for (const [id, purchase] of log) {
    if (!ended(id) && Math.max(purchase.expiresAt, holds.get(id)?.expiresAt ?? 0) + GRACE_MS < now) late.add(id);
  }
  for (const hold of holds.values()) {
    if (hold.status === 'reserved' && hold.expiresAt + GRACE_MS < now) late.add(hold.id);
  }
  return [...late];
}

function countDoubleBuyers(sale: Sale, paid: readonly LedgerEntry[]): number {
  const limits = new Map(sale.items.map((item) => [item.sku, item.perBuyer]));
  const bought = new Map<string, number>();
  const over = new Set<string>();
  for (const entry of paid) {
    const key = `${entry.sku} ${entry.buyer}`;
    const total = (bought.get(key) ?? 0) + entry.quantity;
    bought.set(key, total);
    if (total > (limits.get(entry.sku) ?? 0)) over.add(entry.buyer);
  }
  return over.size;
}

function named(what: string, ids: readonly string[]): string[] {
  const listed = ids.slice(0, MOST_NAMED).map((id) => `${id}: ${what}`);
  const rest = ids.length - listed.length;
  return rest > 0 ? [...listed, `and more purchases ${what}`] : listed;
}

const isIn = (entry: LedgerEntry | undefined, statuses: readonly LedgerEntry['status'][]): boolean =>
  entry !== undefined && statuses.includes(entry.status);
const sum = (numbers: readonly number[]): number => numbers.reduce((total, n) => total + n, 0);
const units = (entries: readonly LedgerEntry[], sku: string): number =>
  sum(entries.filter((entry) => entry.sku === sku).map((entry) => entry.quantity));
