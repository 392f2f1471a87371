/** What is true of a sale now: an ordered list of pure checks. The operator gathers the facts; nothing here looks anything up. */
import { hotPageCount } from './pages.ts';
import { conserves } from './purchase.ts';
import type { Phase, Sale, ScaleRule, StockLevel } from './types.ts';
import type { SaleProblem } from './spec.ts';

/** What is to be said of a workload besides its numbers. `reason` is CamelCase, for machines. */
export interface ScalingNote {
  readonly reason: 'HeldByHPA' | 'ScaleUpLater';
  readonly message: string;
}

/** Everything that the rules look at. `undefined` means that it could not be read: the rules never take it for zero. */
export interface SaleFacts {
  readonly sale: Sale;
  readonly phase: Phase;
  /** What is wrong with the resource; empty where it was accepted. */
  readonly problems: readonly SaleProblem[];
  /** True: the resource is being deleted. */
  readonly deleting: boolean;
  /** Counters read back from Redis, by sku. Undefined where any shard is not warm. */
  readonly items: ReadonlyMap<string, StockLevel> | undefined;
  /** What the ledger allows to be sold, by sku. Undefined where it was not allocated. */
  readonly allocated: ReadonlyMap<string, number> | undefined;
  /** Hot pages that were read back from the cache. Undefined where nobody looked: before the warm-up and after the closing. */
  readonly cachedPages: number | undefined;
  /** Why pages are missing, where that is known. */
  readonly pagesNote?: string | undefined;
  /** Ready replicas of each scaled workload, by `targetKey`. A workload that does not exist is absent. */
  readonly readyReplicas: ReadonlyMap<string, number>;
  /** Why a workload does not have its replicas, by `targetKey`, where that is known. Absent: nothing is known. */
  readonly scaling?: ReadonlyMap<string, ScalingNote>;
  /** Outbox entries not yet acknowledged. */
  readonly outbox: number | undefined;
  /** Records of the sale's topics that their groups have yet to read. */
  readonly lag: number | undefined;
  /** The comparison of Redis, Kafka and ledger, once it was made. */
  readonly proof: { readonly holds: boolean; readonly message: string } | undefined;
}

export const CONDITIONS = [
  'Accepted',
  'StockWarm',
  'CacheWarm',
  'ConsumersReady',
  'Armed',
  'Open',
  'Paused',
  'Conserved',
  'Reconciled',
] as const;
export type ConditionType = (typeof CONDITIONS)[number];

/** One condition of the status. `ok` undefined is Kubernetes' Unknown. `reason` is CamelCase, for machines. */
export interface Condition {
  readonly condition: ConditionType;
  readonly ok: boolean | undefined;
  readonly reason: string;
  readonly message: string;
}

type Verdict = Omit<Condition, 'condition'>;
type Check = (facts: SaleFacts) => Verdict;

const yes = (reason: string, message: string): Verdict => ({ ok: true, reason, message });
const no = (reason: string, message: string): Verdict => ({ ok: false, reason, message });
const unknown = (reason: string, message: string): Verdict => ({ ok: undefined, reason, message });

/** The name of a scaled workload in `SaleFacts.readyReplicas`. */
export function targetKey(target: ScaleRule['target']): string {
  return `${target.kind}/${target.name}`;
}

function accepted({ problems }: SaleFacts): Verdict {
  const [first] = problems;
  if (!first) return yes('Valid', 'the resource was accepted');
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
  return no('Invalid', `${first.field}: ${first.message}${more}`);
}

function stockWarm({ sale, items, allocated }: SaleFacts): Verdict {
  if (!items) return no('NotLoaded', 'stock is not in Redis in every shard');
  if (!allocated) return no('NotAllocated', 'the ledger was not told what may be sold');
  for (const { sku, stock } of sale.items) {
    const level = items.get(sku);
    if (!level) return no('NotLoaded', `${sku} is not in Redis`);
    if (level.stock !== stock) return no('Differs', `${sku}: Redis has ${level.stock} units, the resource ${stock}`);
    if (!conserves(level)) return no('NotConserved', describe(sku, level));
    const units = allocated.get(sku) ?? 0;
    if (units !== stock) return no('Differs', `${sku}: the ledger allows ${units} units, the resource ${stock}`);
  }
  return yes('ReadBack', 'stock was read back from Redis and ledger and equals the resource');
}

function cacheWarm({ sale, cachedPages, pagesNote }: SaleFacts): Verdict {
  const wanted = hotPageCount(sale);
  if (cachedPages === undefined) return unknown('NotKept', 'pages are kept from the warm-up to the closing');
  const found = `${cachedPages} of ${wanted} hot pages`;
  const why = pagesNote === undefined ? '' : `; ${pagesNote}`;
  if (cachedPages < wanted) return no('PagesMissing', `${found} are cached${why}`);
  return yes('ReadBack', `${found} were read back from the cache${why}`);
}

function consumersReady({ sale, readyReplicas, scaling }: SaleFacts): Verdict {
  for (const rule of sale.scale) {
    const target = targetKey(rule.target);
    const ready = readyReplicas.get(target);
    if (ready === undefined) return no('NotFound', `there is no ${target}`);
    if (ready >= rule.warm) continue;
    const words = `${target}: ${ready} of ${rule.warm} replicas are Ready`;
    const note = scaling?.get(target);
    return note ? no(note.reason, `${words}; ${note.message}`) : no('NotReady', words);
  }
  return yes('Ready', 'every workload has its warm replicas Ready');
}

/** What must be true before a sale is Armed, in the order in which a reader should fix it. */
const ARMING: readonly (readonly [ConditionType, Check])[] = [
  ['Accepted', accepted],
  ['StockWarm', stockWarm],
  ['CacheWarm', cacheWarm],
  ['ConsumersReady', consumersReady],
];

/** The first rule that keeps the sale from being Armed; undefined where nothing does. */
export function firstObstacle(facts: SaleFacts): Condition | undefined {
  return ARMING.map(([condition, check]) => ({ condition, ...check(facts) })).find(({ ok }) => ok !== true);
}

/** Whether the stock may be sold, whatever else is not ready. */
export function stockIsWarm(facts: SaleFacts): boolean {
  return facts.problems.length === 0 && stockWarm(facts).ok === true;
}

function armed(facts: SaleFacts): Verdict {
  if (facts.phase === 'Armed' || facts.phase === 'Open') return yes(facts.phase, `the sale is ${facts.phase}`);
  if (facts.phase !== 'Scheduled' && facts.phase !== 'Warming') return no(facts.phase, `the sale is ${facts.phase}`);
  const obstacle = firstObstacle(facts);
  return obstacle
    ? no(`${obstacle.condition}Failed`, obstacle.message)
    : no('Due', 'every rule passes; arming is next');
}

function open({ phase, sale }: SaleFacts): Verdict {
  if (phase !== 'Open') return no(phase, `the sale is ${phase}`);
  return sale.paused ? no('Paused', 'the sale is paused') : yes('Open', 'buyers can buy');
}

function paused({ sale }: SaleFacts): Verdict {
  return sale.paused ? yes('Asked', 'spec.paused is true') : no('NotAsked', 'spec.paused is false');
}

function conserved({ items }: SaleFacts): Verdict {
  if (!items) return unknown('NotWarm', 'there is no stock in Redis to count');
  for (const [sku, level] of items) if (!conserves(level)) return no('Broken', describe(sku, level));
  return yes('Balanced', 'free + held + sold = stock for each item');
}

function reconciled({ proof }: SaleFacts): Verdict {
  if (!proof) return unknown('NotYet', 'Redis, Kafka and ledger are compared once the sale has drained');
  return proof.holds ? yes('Equal', proof.message) : no('Differs', proof.message);
}

function describe(sku: string, { stock, free, held, sold }: StockLevel): string {
  return `${sku}: ${free} free + ${held} held + ${sold} sold is not ${stock}`;
}

const ALL: readonly (readonly [ConditionType, Check])[] = [
  ...ARMING,
  ['Armed', armed],
  ['Open', open],
  ['Paused', paused],
  ['Conserved', conserved],
  ['Reconciled', reconciled],
];

/** Every condition of the status, in the order of `CONDITIONS`. */
export function conditionsOf(facts: SaleFacts): Condition[] {
  return ALL.map(([condition, check]) => ({ condition, ...check(facts) }));
}
