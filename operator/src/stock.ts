/** The stock of a sale in Redis and ledger: loaded, kept right, and brought back where Redis lost it. */
import {
  conserves,
  homeShard,
  parsePurchaseId,
  type Hold,
  type Sale,
  type SaleStore,
  type SettleRequest,
  type ShardItem,
} from '@flashsale/sale';
import { holdsFromRecords } from './rebuild.ts';
import type { OperatorDeps, Scope } from './scope.ts';

/** Passes in a row that something must look wrong before it is repaired: counters of several shards are not read at one instant. */
const PASSES_BEFORE_REPAIR = 6;
const SETTLE_BATCH = 200;

type SaveStatus = (scope: Scope) => Promise<void>;

/** Tells the ledger what may be sold, where it does not know yet. Raised stock reaches the ledger before Redis. */
export async function ensureAllocated(scope: Scope, { ledger }: OperatorDeps): Promise<void> {
  const { sale } = scope;
  const totals = await ledger.totals(sale.name);
  const allocated = new Map(totals.map((total) => [total.sku, total.allocated]));
  const same = sale.items.every((item) => allocated.get(item.sku) === item.stock);
  if (!same) await ledger.allocate(sale);
  scope.totals = same ? totals : await ledger.totals(sale.name);
}

/** Loads the stock of a sale that was never warm, or rebuilds what Redis lost. `save` writes the epoch before it is used. */
export async function ensureStock(scope: Scope, deps: OperatorDeps, save: SaveStatus): Promise<void> {
  const { status } = scope;
  scope.inspection = await deps.store.inspect(scope.sale);
  const found = scope.inspection?.epoch;
  if (found === undefined && status.epoch === 0) await warmFirst(scope, deps, save);
  else if (found === undefined || found < status.epoch) await rebuild(scope, deps, save);
  // A status that was lost, or written by an earlier self: Redis knows better which epoch it is in.
  else if (found > status.epoch) scope.status = { ...status, epoch: found };
}

async function warmFirst(scope: Scope, { store, note }: OperatorDeps, save: SaveStatus): Promise<void> {
  // Buyers' limits and sold units in the ledger are kept by the sale's name.
  if (scope.totals?.some((total) => total.sold > 0)) {
    throw new Error(`a sale named ${scope.sale.name} has sold before: choose another name`);
  }
  const epoch = 1;
  scope.status = { ...scope.status, epoch };
  await save(scope);
  // Shut until the sale is Armed: the scripts open the gate by the clock, and the clock may be past the opening.
  await store.warm({ ...scope.sale, paused: true }, epoch);
  scope.inspection = await store.inspect(scope.sale);
  note({ sale: scope.sale.name, epoch }, 'stock is warm');
}

/** Rebuilds stock from ledger and log under the next epoch. The gate stays shut until this pass sets it. */
export async function rebuild(scope: Scope, deps: OperatorDeps, save: SaveStatus): Promise<void> {
  const started = Date.now();
  const { holds, epoch: logged } = await holdsFromRecords(scope.sale, deps, scope.now);
  const epoch = Math.max(scope.status.epoch, logged, scope.inspection?.epoch ?? 0) + 1;
  scope.status = { ...scope.status, epoch, gate: '' };
  await save(scope);
  await deps.store.rebuild(
    { ...scope.sale, paused: true },
    epoch,
    holds.map((hold) => rehome(scope.sale, hold)),
  );
  scope.inspection = await deps.store.inspect(scope.sale);
  scope.memory.published = '';
  const fields = { sale: scope.sale.name, epoch, holds: holds.length, ms: Date.now() - started };
  deps.note(fields, 'stock was rebuilt from ledger and log');
}

/** A hold lives in the shard its id names, which is the buyer's home shard; a sale is never resharded while it is warm. */
function rehome(sale: Sale, hold: Hold): Hold {
  const shard = parsePurchaseId(hold.id)?.shard;
  if (shard === undefined || shard >= sale.warm.shards) {
    throw new Error(`${hold.id} belongs to shard ${shard ?? '?'}, home ${homeShard(hold.buyer.id, sale.warm.shards)}`);
  }
  return hold;
}

/**
 * Watches an open sale: the ledger must never have more sold than Redis, and Redis' counters must add up.
 * First settles in Redis what the ledger has; what cannot be settled, or does not add up for long, is rebuilt.
 */
export async function watchStock(scope: Scope, deps: OperatorDeps, save: SaveStatus): Promise<void> {
  const { inspection, memory, sale } = scope;
  if (!inspection) return;
  // The totals were read before the inspection, and settling goes before selling: so this is never so for long by itself.
  const behind = (scope.totals ?? []).some((total) => total.sold > (inspection.items.get(total.sku)?.sold ?? 0));
  memory.behind = behind ? memory.behind + 1 : 0;
  memory.unbalanced = [...inspection.items.values()].every(conserves) ? 0 : memory.unbalanced + 1;
  if (memory.behind >= PASSES_BEFORE_REPAIR) {
    memory.behind = 0;
    if (!(await settleFromLedger(sale, deps))) await rebuildDrained(scope, deps, save);
  } else if (memory.unbalanced >= PASSES_BEFORE_REPAIR) {
    await rebuildDrained(scope, deps, save);
  }
}

/** Shuts the gate and, once what was reserved has reached the log, rebuilds: nothing acknowledged is dropped. */
async function rebuildDrained(scope: Scope, deps: OperatorDeps, save: SaveStatus): Promise<void> {
  scope.status = { ...scope.status, gate: '' };
  await deps.store.configure({ ...scope.sale, paused: true }, scope.status.epoch);
  deps.note({ sale: scope.sale.name }, 'stock does not add up; the gate is shut until it was rebuilt');
  scope.inspection = await deps.store.inspect(scope.sale);
  if (scope.inspection?.outbox === 0) {
    scope.memory.unbalanced = 0;
    await rebuild(scope, deps, save);
  } else {
    // Next pass again: the counter stays at its limit.
    scope.memory.unbalanced = PASSES_BEFORE_REPAIR;
  }
}

/** Marks in Redis as paid what the ledger has sold. False where Redis does not know one of them. */
async function settleFromLedger(sale: Sale, { ledger, store }: OperatorDeps): Promise<boolean> {
  const batches = new Map<string, { at: ShardItem; requests: SettleRequest[] }>();
  let known = true;
  for await (const entry of ledger.entries(sale.name)) {
    const shard = parsePurchaseId(entry.id)?.shard;
    if (entry.status !== 'paid' || shard === undefined) continue;
    const key = `${shard} ${entry.sku}`;
    const batch = batches.get(key) ?? { at: { sale: sale.name, shard, sku: entry.sku }, requests: [] };
    batches.set(key, batch);
    batch.requests.push({ id: entry.id, epoch: 0 });
    if (batch.requests.length >= SETTLE_BATCH) known = (await settle(store, batch)) && known;
  }
  for (const batch of batches.values()) known = (await settle(store, batch)) && known;
  return known;
}

async function settle(store: SaleStore, batch: { at: ShardItem; requests: SettleRequest[] }): Promise<boolean> {
  const requests = batch.requests.splice(0);
  if (requests.length === 0) return true;
  const answers = await store.settle(batch.at, requests);
  return answers.every(({ code }) => code === 'done' || code === 'already');
}
