/** What happens in one simulation, drawn from its seed: the sale, what buyers and its owner do, and what goes wrong when. */
import { CALL_FAULTS, type CallFault, type Store } from './network.ts';
import { randomOf, type Random } from './random.ts';

export const SALE = 'drop';
export const PRICE_MINOR = 250;

export interface Scenario {
  readonly shards: number;
  /** Redis nodes; shards are dealt out to them. */
  readonly nodes: number;
  readonly partitions: number;
  readonly items: readonly { readonly sku: string; readonly stock: number; readonly perBuyer: number }[];
  readonly buyers: number;
  readonly holdForMs: number;
  /** Simulated ms. */
  readonly opensAt: number;
  readonly closesAt: number;
  readonly notReady: 'Delay' | 'Open';
  /** How many processes of each kind. */
  readonly processes: Readonly<Record<'checkout' | 'payments' | 'orders' | 'live' | 'operator', number>>;
}

export type Action = { readonly at: number } & (
  | {
      readonly kind: 'buy';
      readonly buyer: number;
      readonly key: string;
      readonly sku: string;
      readonly quantity: number;
    }
  | { readonly kind: 'raise'; readonly sku: string; readonly units: number }
  | { readonly kind: 'pause' | 'resume' }
);

/** `at` and `forMs` in simulated ms. */
export type Fault =
  | { readonly kind: 'call'; readonly process: string; readonly nth: number; readonly fault: CallFault }
  | { readonly kind: 'crash'; readonly process: string; readonly at: number }
  | { readonly kind: 'stand still'; readonly process: string; readonly at: number; readonly forMs: number }
  | { readonly kind: 'clock jump'; readonly process: string; readonly at: number; readonly byMs: number }
  | {
      readonly kind: 'cut';
      readonly process: string;
      readonly store: Store['name'];
      readonly at: number;
      readonly forMs: number;
      readonly how: 'refused' | 'silent';
    }
  | { readonly kind: 'failover'; readonly node: number; readonly writes: number; readonly at: number }
  | { readonly kind: 'flush'; readonly node: number; readonly at: number }
  | { readonly kind: 'rebalance'; readonly group: string; readonly at: number }
  | { readonly kind: 'rewind'; readonly group: string; readonly records: number; readonly at: number }
  | { readonly kind: 'shuffle'; readonly share: number };

export interface Plan {
  readonly seed: number;
  readonly scenario: Scenario;
  readonly actions: readonly Action[];
  readonly faults: readonly Fault[];
  /** From then on nothing goes wrong any more: what is under way must come to its end. Simulated ms. */
  readonly calmAt: number;
}

export function planOf(seed: number): Plan {
  const random = randomOf(seed, 'plan');
  const scenario = scenarioOf(random);
  const calmAt = scenario.closesAt + random.between(200, 3_000);
  const actions = [...buysOf(random, scenario), ...editsOf(random, scenario)].toSorted((a, b) => a.at - b.at);
  return { seed, scenario, actions, faults: faultsOf(random, scenario, calmAt), calmAt };
}

function scenarioOf(random: Random): Scenario {
  const shards = random.pick([1, 1, 2, 2, 3, 4]);
  const opensAt = random.between(300, 1_500);
  const items = [{ sku: 'shoe', stock: random.between(1, 7), perBuyer: random.pick([1, 1, 2]) }];
  if (random.chance(0.3)) items.push({ sku: 'hat', stock: random.between(1, 5), perBuyer: random.between(1, 3) });
  return {
    shards,
    nodes: random.chance(0.4) ? Math.min(shards, 2) : 1,
    partitions: random.between(1, 3),
    items,
    buyers: random.between(3, 10),
    holdForMs: random.pick([150, 400, 1_000, 3_000]),
    opensAt,
    closesAt: opensAt + random.between(800, 3_000),
    notReady: random.pick(['Delay', 'Delay', 'Open']),
    processes: {
      checkout: random.pick([1, 2, 2]),
      payments: random.pick([1, 1, 2]),
      orders: random.pick([1, 1, 2]),
      live: random.pick([0, 1]),
      operator: random.pick([1, 1, 2]),
    },
  };
}

/** The name of a buyer's account. Some have a number, so that both ways to keep the limit are used. */
export const buyerOf = (nth: number): { readonly id: string; readonly number?: number } =>
  nth % 3 === 2 ? { id: `buyer-${nth}` } : { id: `buyer-${nth}`, number: nth };

function buysOf(random: Random, { buyers, items, opensAt, closesAt }: Scenario): Action[] {
  const buys: Action[] = [];
  const instant = (): number => {
    const rush = random.chance(0.6);
    return rush ? opensAt + random.between(-60, 250) : random.between(opensAt, closesAt + 100);
  };
  for (let buyer = 0; buyer < buyers; buyer++) {
    const purchases = random.pick([1, 1, 1, 2, 3]);
    for (let nth = 0; nth < purchases; nth++) {
      const { sku, perBuyer } = random.pick(items);
      const quantity = random.chance(0.75) ? 1 : random.between(1, perBuyer);
      // The same key again is a repetition; with another body it is a mistake that must be told.
      const key = nth > 0 && random.chance(0.3) ? 'k0' : `k${nth}`;
      buys.push({ kind: 'buy', at: instant(), buyer, key, sku, quantity });
    }
  }
  return buys;
}

function editsOf(random: Random, { items, opensAt, closesAt }: Scenario): Action[] {
  const edits: Action[] = [];
  const instant = (): number => random.between(opensAt, closesAt);
  if (random.chance(0.15)) {
    edits.push({ kind: 'raise', at: instant(), sku: random.pick(items).sku, units: random.between(1, 3) });
  }
  if (random.chance(0.1)) {
    const at = instant();
    edits.push({ kind: 'pause', at }, { kind: 'resume', at: at + random.between(50, 500) });
  }
  return edits;
}

/** Names of all processes that the plan may touch. */
export function processNames({ processes }: Scenario): string[] {
  return Object.entries(processes).flatMap(([kind, count]) => Array.from({ length: count }, (_, i) => `${kind}-${i}`));
}

const GROUPS = ['payments', 'orders', 'payments-refunds'] as const;
/** The stores that a kind of process calls. */
const REACHES: Readonly<Record<string, readonly Store['name'][]>> = {
  checkout: ['redis', 'redis', 'kafka', 'orders-http'],
  payments: ['redis', 'kafka', 'payments-db'],
  orders: ['redis', 'kafka', 'orders-db'],
  live: ['redis', 'orders-http'],
  operator: ['redis', 'redis', 'kafka', 'orders-http', 'kube'],
};

function faultsOf(random: Random, scenario: Scenario, calmAt: number): Fault[] {
  const count = random.pick([0, 1, 2, 3, 4, 6, 8, 12]);
  return Array.from({ length: count }, () => faultOf(random, scenario, calmAt));
}

type Draw = (random: Random, scenario: Scenario, at: number) => Fault;

const anyProcess = (random: Random, scenario: Scenario): string => random.pick(processNames(scenario));

const callFault: Draw = (random, scenario) => ({
  kind: 'call',
  process: anyProcess(random, scenario),
  // Early calls of all processes are hit more often than late ones, which not every process makes.
  nth: random.below(random.pick([20, 60, 150, 400])),
  fault: random.pick(CALL_FAULTS),
});

const cut: Draw = (random, scenario, at): Fault => {
  const process = anyProcess(random, scenario);
  const store = random.pick<Store['name']>(REACHES[process.replace(/-\d+$/, '')] ?? ['redis']);
  const how = random.pick(['refused', 'silent'] as const);
  return { kind: 'cut', process, store, at, forMs: random.between(50, 2_500), how };
};

const loss: Draw = (random, { nodes }, at) => {
  const node = random.below(nodes);
  return random.chance(0.7)
    ? { kind: 'failover', node, writes: random.pick([1, 1, 2, 3, 5, 10, 30]), at }
    : { kind: 'flush', node, at };
};

const DRAWS: readonly Draw[] = [
  callFault,
  callFault,
  callFault,
  callFault,
  callFault,
  (random, scenario, at) => ({ kind: 'crash', process: anyProcess(random, scenario), at }),
  (random, scenario, at) => ({
    kind: 'stand still',
    process: anyProcess(random, scenario),
    at,
    forMs: random.pick([20, 200, 1_000, 3_000]),
  }),
  (random, scenario, at) => ({
    kind: 'clock jump',
    process: anyProcess(random, scenario),
    at,
    byMs: random.pick([-60_000, -1_000, 1_000, 60_000]),
  }),
  cut,
  cut,
  loss,
  (random, _scenario, at) => ({ kind: 'rebalance', group: random.pick(GROUPS), at }),
  (random, _scenario, at) => ({ kind: 'rewind', group: random.pick(GROUPS), records: random.between(1, 10), at }),
  (random) => ({ kind: 'shuffle', share: random.pick([0.2, 0.5]) }),
];

function faultOf(random: Random, scenario: Scenario, calmAt: number): Fault {
  const at = random.below(Math.floor(calmAt));
  return random.pick(DRAWS)(random, scenario, at);
}
