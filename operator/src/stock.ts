/** The stock of a sale in Redis and ledger: loaded, kept right, and brought back where Redis lost it. */
import { SaleError, type Hold, type Sale, type SaleItem, type SaleProblem, type StockLevel } from '@flashsale/sale';
import { setGate } from './gate.ts';
import { holdsFromRecords } from './rebuild.ts';
import type { OperatorDeps, PassDeps, Scope } from './scope.ts';
import { settleFromLedger } from './settle.ts';

/** Passes in a row that something must look wrong before it is repaired: counters of several shards are not read at one instant. */
const PASSES_BEFORE_REPAIR = 6;

type SaveStatus = (scope: Scope) => Promise<void>;

/**
 * Bars a sale whose name somebody has bought under before: limits, sold units and purchase ids are kept by the name.
 * Only for a sale without any stock of its own. With `thorough`, the log is asked too.
 */
export async function checkName(scope: Scope, deps: OperatorDeps, thorough: boolean): Promise<void> {
  const { memory, sale, now } = scope;
  const wanted = thorough ? 'by ledger and log' : 'by ledger';
  if (memory.nameIsFree === wanted) return;
  if (await hasPurchases(sale, deps, now, thorough)) scope.barred = nameTaken(sale.name);
  else memory.nameIsFree = wanted;
}

async function hasPurchases(sale: Sale, deps: OperatorDeps, now: number, thorough: boolean): Promise<boolean> {
  for await (const entry of deps.ledger.entries(sale.name)) return entry.sale === sale.name;
  return thorough && (await holdsFromRecords(sale, deps, now)).holds.length > 0;
}

const nameTaken = (name: string): SaleProblem => ({
  field: 'metadata.name',
  message: `a sale named ${name} has sold before, and its purchases are kept: choose another name`,
});

/** Tells the ledger what may be sold, ahead of Redis. What it allows already is not lowered here; see `lowerAllocation`. */
export async function ensureAllocated(scope: Scope, { ledger }: OperatorDeps): Promise<void> {
  const { sale } = scope;
  const totals = await ledger.totals(sale.name);
  const allocated = new Map(totals.map((total) => [total.sku, total.allocated]));
  const items = sale.items.map((item) => ({ ...item, stock: Math.max(item.stock, allocated.get(item.sku) ?? 0) }));
  const same = items.every((item) => allocated.get(item.sku) === item.stock);
  if (!same) await ledger.allocate({ ...sale, items });
  scope.totals = same ? totals : await ledger.totals(sale.name);
}

/** Lowers what the ledger allows once Redis has no more than that: the other way round, buyers would be refunded. */
async function lowerAllocation(scope: Scope, { ledger }: OperatorDeps): Promise<void> {
  const { sale, totals, inspection } = scope;
  const stock = new Map(sale.items.map((item) => [item.sku, item.stock]));
  const tooMuch = totals?.some((total) => total.allocated > (stock.get(total.sku) ?? Infinity));
  const lowered = sale.items.every((item) => inspection?.items.get(item.sku)?.stock === item.stock);
  if (!tooMuch || !lowered) return;
  await ledger.allocate(sale);
  scope.totals = await ledger.totals(sale.name);
}

/** Loads the stock of a sale that was never warm, or rebuilds what Redis lost. `save` writes the epoch before it is used. */
export async function ensureStock(scope: Scope, deps: PassDeps, save: SaveStatus): Promise<void> {
  scope.inspection = await deps.store.inspect(scope.sale);
  adoptEpoch(scope);
  const { epoch } = scope.status;
  if (!scope.inspection && epoch === 0) await warmFirst(scope, deps, save);
  else if (!scope.inspection || scope.inspection.epoch < epoch) await rebuild(scope, deps, save);
  // An empty gate: loaded, rebuilt or found in this pass, or in one that did not come to its end. Purchases that were
  // paid for since the ledger was read are settled before anything else is sold.
  if (scope.status.gate === '') {
    await settleFromLedger(scope.sale, deps);
    scope.inspection = await deps.store.inspect(scope.sale);
  }
  await lowerAllocation(scope, deps);
}

/** A status that was lost, or written by an earlier self: Redis knows better which epoch it is in. */
export function adoptEpoch(scope: Scope): void {
  const found = scope.inspection?.epoch ?? 0;
  if (found > scope.status.epoch) scope.status = { ...scope.status, epoch: found, gate: '' };
}

async function warmFirst(scope: Scope, { store, note }: OperatorDeps, save: SaveStatus): Promise<void> {
  const epoch = 1;
  scope.status = { ...scope.status, epoch };
  await save(scope);
  // Shut until the sale is Armed: the scripts open the gate by the clock, and the clock may be past the opening.
  await store.warm({ ...scope.sale, paused: true }, epoch);
  scope.inspection = await store.inspect(scope.sale);
  note({ sale: scope.sale.name, epoch }, 'stock is warm');
}

/** Rebuilds stock from ledger and log under the next epoch. The gate stays shut until this pass sets it. */
export async function rebuild(scope: Scope, deps: PassDeps, save: SaveStatus): Promise<void> {
  const started = performance.now();
  await shutWhatIsLeft(scope, deps);
  await deps.registry.restore();
  const waiting = (await deps.store.peekOutbox(scope.sale)).flatMap(({ events }) => events);
  const { holds, epoch: logged } = await holdsFromRecords(scope.sale, deps, scope.now, waiting);
  const epoch = Math.max(scope.status.epoch, logged, scope.inspection?.epoch ?? 0) + 1;
  scope.status = { ...scope.status, epoch, gate: '' };
  await save(scope);
  await deps.store.rebuild({ ...scope.sale, paused: true }, epoch, holds);
  scope.memory.repair = undefined;
  scope.memory.allEnded = false;
  scope.inspection = await deps.store.inspect(scope.sale);
  const ms = Math.round(performance.now() - started);
  deps.note({ sale: scope.sale.name, epoch, holds: holds.length, ms }, 'stock was rebuilt from ledger and log');
}

/**
 * Redis may have lost some shards only: the others go on selling until they are told not to, and a reservation made
 * after the outboxes were read would be dropped. Shards that are in another epoch than the published one sell nothing.
 */
async function shutWhatIsLeft({ sale, status }: Scope, { store }: OperatorDeps): Promise<void> {
  try {
    await store.configure({ ...sale, paused: true }, status.epoch);
  } catch (error) {
    if (!(error instanceof SaleError && error.code === 'try_again_later')) throw error;
  }
}

/**
 * Watches an open sale: the ledger must never have more sold than Redis, Redis' counters must add up, and Redis must
 * not have more than the resource. First settles in Redis what the ledger has; what stays wrong is rebuilt.
 */
export async function watchStock(scope: Scope, deps: OperatorDeps): Promise<void> {
  const { inspection, memory, sale } = scope;
  if (!inspection) return;
  // The totals were read before the inspection, and settling goes before selling: so this is never so for long by itself.
  const behind = (scope.totals ?? []).some((total) => total.sold > (inspection.items.get(total.sku)?.sold ?? 0));
  memory.behind = behind ? memory.behind + 1 : 0;
  memory.unbalanced = [...inspection.items.values()].every(addsUp) ? 0 : memory.unbalanced + 1;
  if (memory.behind >= PASSES_BEFORE_REPAIR) {
    memory.behind = 0;
    if (!(await settleFromLedger(sale, deps))) memory.repair = 'the ledger has sold what Redis does not know';
  }
  if (memory.unbalanced >= PASSES_BEFORE_REPAIR) memory.repair = 'stock does not add up';
}

/**
 * More in payment than there is (Redis forgot reservations that had reached the log, and sold their units again) shows
 * as less than nothing free. No rebuild changes that: the ledger lets only the stock become sales.
 */
function addsUp({ stock, free, held, sold }: StockLevel): boolean {
  return free + held + sold === stock && held >= 0 && sold >= 0;
}

/** Notices stock that the resource has lowered; Redis can only be rebuilt to less. */
export function noticeLowered({ sale, inspection, memory }: Scope): void {
  const lowered = sale.items.some((item) => (inspection?.items.get(item.sku)?.stock ?? 0) > item.stock);
  if (lowered) memory.repair ??= 'stock was lowered';
}

/** With the gate shut, and once what was reserved has reached the log, rebuilds: nothing acknowledged is dropped. */
export async function repair(scope: Scope, deps: PassDeps, save: SaveStatus): Promise<void> {
  const { memory, sale, status } = scope;
  if (memory.repair === undefined) return;
  deps.note({ sale: sale.name, reason: memory.repair }, 'the gate is shut until stock was rebuilt');
  await setGate(scope, status.phase, deps);
  scope.inspection = await deps.store.inspect(sale);
  if (scope.inspection?.outbox !== 0) return;
  keepTaken(scope);
  memory.unbalanced = 0;
  await rebuild(scope, deps, save);
  await settleFromLedger(scope.sale, deps);
  scope.inspection = await deps.store.inspect(scope.sale);
}

/**
 * Units bought while the resource was lowered stay bought: it cannot go below them. Nor above what was on sale before:
 * reservations that Redis forgot do not make more stock.
 */
function keepTaken(scope: Scope): void {
  const { sale, inspection } = scope;
  const items = sale.items.map((item): SaleItem => {
    const { stock = 0, held = 0, sold = 0 } = inspection?.items.get(item.sku) ?? {};
    const taken = Math.min(held + sold, stock);
    return taken > item.stock ? { ...item, stock: taken } : item;
  });
  if (items.every((item, at) => item === sale.items[at])) return;
  scope.sale = { ...sale, items };
  scope.status = { ...scope.status, accepted: scope.sale };
}

/**
 * After the drain: purchases in the log that no ending will come for, since Redis lost them and payments found them too
 * late to charge. They become holds again, and expire as any other. A Redis that lost how purchases ended (a failover
 * takes back the last writes) is brought back too: ledger and log are final now. True where something was mended.
 */
export async function reviveLost(scope: Scope, deps: PassDeps, save: SaveStatus): Promise<boolean> {
  if (scope.memory.allEnded) return false;
  const { holds } = await holdsFromRecords(scope.sale, deps, scope.now);
  scope.memory.allEnded = !holds.some(isOpen) && isStockOf(scope, holds);
  if (!scope.memory.allEnded) await rebuild(scope, deps, save);
  return !scope.memory.allEnded;
}

const isOpen = (hold: Hold): boolean => hold.status === 'reserved';

/** Whether Redis has as much in payment and sold as the records have, and all of it adds up. */
function isStockOf({ sale, inspection }: Scope, holds: readonly Hold[]): boolean {
  return sale.items.every(({ sku }) => {
    const level = inspection?.items.get(sku);
    const unitsIn = (status: Hold['status']): number =>
      holds.reduce((units, hold) => units + (hold.sku === sku && hold.status === status ? hold.quantity : 0), 0);
    return level && addsUp(level) && level.held === unitsIn('reserved') && level.sold === unitsIn('paid');
  });
}

/** Whether Redis has lost the stock of a closed sale, or is not as the proof found it, or the proof does not hold. */
export function lostSinceClosing({ status, inspection }: Scope): boolean {
  const { epoch, proof } = status;
  if (epoch === 0) return false;
  if (inspection?.epoch !== epoch) return true;
  if (!proof) return false;
  const levels = [...inspection.items.values()];
  const sum = (column: 'free' | 'held' | 'sold'): number => levels.reduce((units, level) => units + level[column], 0);
  return !proof.holds || sum('free') !== proof.free || sum('held') !== proof.held || sum('sold') !== proof.sold;
}
