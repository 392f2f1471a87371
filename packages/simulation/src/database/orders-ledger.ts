/** The ledger of orders on the simulated PostgreSQL: what the statements of services/orders do, row by row. */
import {
  GuardRefused,
  NotAllocated,
  type AllocatedItem,
  type BuyerPurchase,
  type Guard,
  type LedgerBook,
  type LedgerTransaction,
  type LedgerView,
} from '@flashsale/orders/ports';
import type { LedgerEntry, PurchaseFacts, PurchaseReserved, PurchaseResolved, PurchaseStatus } from '@flashsale/sale';
import type { DatabaseConnection, Run } from './connection.ts';
import type { Transaction } from './database.ts';

export interface PurchaseRow {
  readonly id: string;
  readonly sale: string;
  readonly sku: string;
  readonly buyer: string;
  readonly buyerNumber: number | undefined;
  readonly quantity: number;
  readonly amountMinor: number;
  readonly currency: string;
  readonly status: PurchaseStatus;
  readonly reservedAt: number;
  readonly resolvedAt: number | null;
  readonly reason: string | null;
  readonly epoch: number;
}
export interface AllocationRow {
  readonly sale: string;
  readonly sku: string;
  readonly allocated: number;
  readonly perBuyer: number;
  readonly sold: number;
}
export interface BuyerTotalRow {
  readonly buyer: string;
  readonly sale: string;
  readonly sku: string;
  readonly units: number;
  readonly perBuyer: number;
}

type Table = 'purchases' | 'allocations' | 'buyerTotals' | 'inbox';
const keyOf = (...parts: readonly string[]): string => parts.join('\0');
const read = <R>(tx: Transaction, table: Table, key: string): R | undefined => tx.get(table, key) as R | undefined;
const write = (tx: Transaction, table: Table, key: string, row: object): void => tx.set(table, key, { ...row });

function guard(holds: boolean, name: Guard): void {
  if (!holds) throw new GuardRefused(name);
}

async function note(tx: Transaction, events: readonly (PurchaseReserved | PurchaseResolved)[]): Promise<void> {
  const all = new Map(events.map((event) => [event.id, event]));
  await tx.lock('purchases', all.keys());
  for (const event of all.values()) {
    const { id, sale, sku, buyer, buyerNumber, quantity, amountMinor, currency, epoch } = event;
    const reservedAt = Math.trunc(event.type === 'reserved' ? event.reservedAt : event.at);
    const known = read<PurchaseRow>(tx, 'purchases', id);
    const fresh: Omit<PurchaseRow, 'reservedAt'> = {
      ...{ id, sale, sku, buyer, buyerNumber, quantity, amountMinor, currency, epoch },
      status: 'reserved',
      resolvedAt: null,
      reason: null,
    };
    if (!known) write(tx, 'purchases', id, { ...fresh, reservedAt });
    else if (reservedAt < known.reservedAt) write(tx, 'purchases', id, { ...known, reservedAt });
  }
}

async function countSold(tx: Transaction, moved: Moved, guards: boolean): Promise<void> {
  await countBuyers(
    tx,
    guards,
    sums(moved, ({ sale, sku, buyer }) => keyOf(sale, sku, buyer)),
  );
  const items = sums(moved, ({ sale, sku }) => keyOf(sale, sku));
  await tx.lock('allocations', items.keys());
  for (const [key, { facts, units }] of items) {
    const row = read<AllocationRow>(tx, 'allocations', key);
    if (!row) throw new NotAllocated([`${facts.sale}/${facts.sku}`]);
    const sold = row.sold + units;
    guard(!guards || isWithin(sold, row.allocated), 'sold_within_allocation');
    write(tx, 'allocations', key, { ...row, sold });
  }
}

async function countBuyers(tx: Transaction, guards: boolean, buyers: Sums): Promise<void> {
  await tx.lock('buyerTotals', buyers.keys());
  for (const [key, { facts, units }] of buyers) {
    const { sale, sku, buyer } = facts;
    const known = read<BuyerTotalRow>(tx, 'buyerTotals', key);
    // Where nothing is allocated, or nothing is known to be given back, there is no row to count in.
    const source = units > 0 ? read<AllocationRow>(tx, 'allocations', keyOf(sale, sku)) : known;
    if (!source) continue;
    const { perBuyer } = source;
    const total = (known?.units ?? 0) + units;
    guard(!guards || isWithin(total, perBuyer), 'buyer_within_limit');
    write(tx, 'buyerTotals', key, { buyer, sale, sku, units: total, perBuyer });
  }
}

const isWithin = (units: number, most: number): boolean => units >= 0 && units <= most;
type Moved = Parameters<LedgerTransaction['countSold']>[0];
type Sums = ReadonlyMap<string, { readonly facts: PurchaseFacts; readonly units: number }>;

function sums(moved: Moved, keyBy: (facts: PurchaseFacts) => string): Sums {
  const all = new Map<string, { facts: PurchaseFacts; units: number }>();
  for (const { facts, units } of moved) {
    const key = keyBy(facts);
    all.set(key, { facts, units: units + (all.get(key)?.units ?? 0) });
  }
  return new Map([...all].filter(([, { units }]) => units !== 0));
}

function within(run: Run, guards: boolean): LedgerTransaction {
  return {
    admit: (eventIds) =>
      run('admit', async (tx) => {
        await tx.lock('inbox', eventIds);
        const fresh = new Set(eventIds.filter((id) => !tx.get('inbox', id)));
        for (const id of fresh) write(tx, 'inbox', id, { id });
        return fresh;
      }),
    lockStatuses: (ids) =>
      run('lockStatuses', async (tx) => {
        const present = ids.filter((id) => tx.get('purchases', id));
        await tx.lock('purchases', present);
        const rows = present.map((id) => read<PurchaseRow>(tx, 'purchases', id) as PurchaseRow);
        return new Map(rows.map(({ id, status }) => [id, status]));
      }),
    note: (events) => run('note', (tx) => note(tx, events)),
    writeChanges: (changes) =>
      run('writeChanges', async (tx) => {
        await tx.lock(
          'purchases',
          changes.map(({ id }) => id),
        );
        for (const { id, status, at, reason, goods } of changes) {
          const row = read<PurchaseRow>(tx, 'purchases', id);
          if (!row) continue;
          const { sku, quantity, amountMinor, currency } = goods ?? row;
          const resolvedAt = status === 'reserved' ? null : Math.trunc(at);
          write(tx, 'purchases', id, { ...row, status, reason, resolvedAt, sku, quantity, amountMinor, currency });
        }
      }),
    countSold: (moved) => run('countSold', (tx) => countSold(tx, moved, guards)),
  };
}

/** Rows of one page. */
const PAGE = 20;

const purchases = (tx: Transaction): PurchaseRow[] => tx.rows('purchases') as unknown as PurchaseRow[];
const allocations = (tx: Transaction): AllocationRow[] => tx.rows('allocations') as unknown as AllocationRow[];

/** `guards`: whether the schema's checks are there. */
export function simulatedLedger(database: DatabaseConnection, guards = true): LedgerBook & LedgerView {
  const statement: DatabaseConnection['statement'] = (what, work) => database.statement(what, work);
  return {
    note: (events) => statement('note', (tx) => note(tx, events)),
    transaction: (work) => database.transaction((run) => work(within(run, guards))),
    allocate: (sale, items) =>
      statement('allocate', (tx) => allocate(tx, sale, items)).catch((error: unknown) => {
        if (error instanceof GuardRefused) return false;
        throw error;
      }),
    totals: (sale) =>
      statement('totals', (tx) =>
        allocations(tx)
          .filter((row) => row.sale === sale)
          .toSorted((a, b) => (a.sku < b.sku ? -1 : 1))
          .map(({ sku, allocated, sold }) => ({ sku, allocated, sold })),
      ),
    sales: async function* () {
      yield* await statement('sales', (tx) => allocations(tx).map(({ sale, sku }) => ({ sale, sku })));
    },
    entries: async function* (sale) {
      for (let after = ''; ;) {
        const page = await statement('entries', (tx) =>
          purchases(tx)
            .filter((row) => row.sale === sale && row.id > after)
            .toSorted((a, b) => (a.id < b.id ? -1 : 1))
            .slice(0, PAGE),
        );
        yield* page.map(entryOf);
        const last = page.at(-1);
        if (!last || page.length < PAGE) return;
        after = last.id;
      }
    },
    entry: (id) =>
      statement('entry', (tx) => {
        const row = read<PurchaseRow>(tx, 'purchases', id);
        return row && entryOf(row);
      }),
    purchasesOf: (buyer, statuses, limit, after) =>
      statement('purchasesOf', (tx) =>
        purchases(tx)
          .filter((row) => row.buyer === buyer && statuses.includes(row.status))
          .filter((row) => !after || isBefore(row, after))
          .toSorted((a, b) => (isBefore(b, a) ? -1 : 1))
          .slice(0, limit)
          .map(shown),
      ),
  };
}

async function allocate(tx: Transaction, sale: string, items: readonly AllocatedItem[]): Promise<boolean> {
  await tx.lock(
    'allocations',
    items.map(({ sku }) => keyOf(sale, sku)),
  );
  for (const { sku, allocated, perBuyer } of items) {
    const sold = read<AllocationRow>(tx, 'allocations', keyOf(sale, sku))?.sold ?? 0;
    guard(sold <= allocated, 'sold_within_allocation');
    write(tx, 'allocations', keyOf(sale, sku), { sale, sku, allocated, perBuyer, sold });
  }
  return true;
}

type Positioned = Pick<PurchaseRow, 'reservedAt' | 'id'>;
const isBefore = (row: Positioned, other: Positioned): boolean =>
  row.reservedAt < other.reservedAt || (row.reservedAt === other.reservedAt && row.id < other.id);

function entryOf(row: PurchaseRow): LedgerEntry {
  const { id, sale, sku, buyer, buyerNumber, quantity, status, amountMinor, currency, reservedAt } = row;
  const entry = { id, sale, sku, buyer, quantity, status, amountMinor, currency, reservedAt };
  return buyerNumber === undefined ? entry : { ...entry, buyerNumber };
}

function shown(row: PurchaseRow): BuyerPurchase {
  const { id, sale, sku, quantity, amountMinor, currency, status, reason } = row;
  const resolvedAt = row.resolvedAt === null ? null : new Date(row.resolvedAt);
  return {
    ...{ id, sale, sku, quantity, amountMinor, currency, status, reason },
    reservedAt: new Date(row.reservedAt),
    resolvedAt,
  };
}
