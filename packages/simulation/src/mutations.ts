/**
 * Known bugs, each planted between the product and its stores by a wrapper: that the simulation finds them shows that its
 * invariants see. None of them is in production code.
 */
import type { LedgerBook } from '@flashsale/orders/ports';
import type { Book } from '@flashsale/payments/ports';
import { keys, TOPICS, type ReserveRequest, type SaleEvent, type ShardItem } from '@flashsale/sale';
import type { ProcessPorts } from './actors/ports.ts';
import type { World } from './world.ts';

export interface Mutation {
  readonly name: string;
  /** Seeds, from 1, of which one shows it at the latest. */
  readonly within: number;
  /** What a kind of process gets instead of its ports. */
  readonly wrap?: (ports: ProcessPorts, world: World, kind: string) => ProcessPorts;
  /** What the ledger does not check any more. */
  readonly off?: readonly 'guards'[];
}

type Wrap = NonNullable<Mutation['wrap']>;
const store =
  (kinds: readonly string[], change: (ports: ProcessPorts, world: World) => Partial<ProcessPorts['store']>): Wrap =>
  (ports, world, kind) =>
    kinds.includes(kind) ? { ...ports, store: { ...ports.store, ...change(ports, world) } } : ports;

/** Changes what a process hands to its consumers' handler. */
const consume =
  (of: string, change: (handle: Handle, ports: ProcessPorts) => Handle): Wrap =>
  (ports, _world, kind) => {
    if (kind !== of) return ports;
    const kafka: ProcessPorts['kafka'] = {
      ...ports.kafka,
      consume: (options) =>
        ports.kafka.consume({ ...options, handle: change((events) => options.handle(events), ports) }),
    };
    return { ...ports, kafka };
  };
type Handle = (events: readonly SaleEvent[]) => Promise<readonly { event: SaleEvent; error: unknown }[]>;

/** Adds to a counter of an item behind the scripts' backs. */
function add(world: World, at: ShardItem, counter: 'free' | 'held' | 'sold', units: number): void {
  world.redis.command('HINCRBY', [keys.item(at.sale, at.shard, at.sku), counter, units]);
}

const releaseTwice = store(['checkout', 'payments'], ({ store: real }, world) => ({
  release: async (at, batch) => {
    const answers = await real.release(at, batch);
    if (answers.some(({ code }) => code === 'done')) add(world, at, 'free', 1);
    return answers;
  },
}));

const settleIgnoresExpiry = store(['orders'], ({ store: real }) => ({
  settle: async (at, batch) =>
    (await real.settle(at, batch)).map((answer) =>
      answer.status === 'expired' ? { code: 'done' as const, status: 'paid' as const } : answer,
    ),
}));

/** Each call reserves under an id of its own, also where it repeats another. */
const reserveAnew = store(['checkout'], ({ store: real }) => {
  const renamed = ({ id, ...rest }: ReserveRequest): ReserveRequest => {
    const drawn = Math.floor(Math.random() * 1_000);
    return { ...rest, id: `${id.slice(0, -3)}${drawn.toString().padStart(3, '0')}` };
  };
  return { reserve: (sale, at, batch) => real.reserve(sale, at, batch.map(renamed)) };
});

const confirmFirst = consume('orders', (handle, { signals }) => async (events) => {
  const paid = events.filter(({ type }) => type === 'paid');
  await signals.notifyBuyers(
    paid.map(({ buyer, id, sale, sku, quantity }) => ({
      buyer,
      purchase: { id, sale, sku, quantity, status: 'paid' as const },
    })),
  );
  return handle(events);
});

const commitFirst = consume('orders', (handle) => (events) => {
  void handle(events).catch(() => undefined);
  return Promise.resolve([]);
});

const chargeTwice: Wrap = (ports, _world, kind) => {
  if (kind !== 'payments') return ports;
  const book = (): Book => {
    const real = ports.book();
    return {
      ...real,
      transaction: (work) =>
        real.transaction((tx) =>
          work({
            ...tx,
            findCharges: () => Promise.resolve(new Map()),
            writeCharges: async (purchases, charges) => {
              const known = await tx.findCharges(purchases.map(({ id }) => id));
              await tx.writeCharges(
                purchases.filter(({ id }) => !known.has(id)),
                charges,
              );
            },
          }),
        ),
    };
  };
  return { ...ports, book };
};

/** The sweeper takes every hold whose time has passed, also those that are paid. */
const sweepPaid = store(['checkout'], ({ store: real }, world) => ({
  release: async (at, batch) => {
    const answers = await real.release(at, batch);
    const holds = world.redis.data.read(keys.holds(at.sale, at.shard), 'hash')?.fields ?? new Map<string, string>();
    const [id, text] = [...holds].find(([, one]) => one.startsWith('1\n')) ?? [];
    if (id !== undefined && text !== undefined) {
      world.redis.command('HSET', [keys.holds(at.sale, at.shard), id, `3${text.slice(1)}`]);
      add(world, at, 'sold', -1);
      add(world, at, 'free', 1);
    }
    return answers;
  },
}));

/** Says "sold out" as soon as the home shard is empty. */
const lookAtHomeOnly = store(['checkout'], () => ({
  borrow: () => Promise.resolve({ moved: 0, held: 0, changes: 0 }),
}));

const neverRefund: Wrap = (ports, _world, kind) => {
  if (kind !== 'orders') return ports;
  const kafka: ProcessPorts['kafka'] = {
    ...ports.kafka,
    producer: () => {
      const real = ports.kafka.producer();
      const send: typeof real.send = (topic, events) =>
        topic === TOPICS.refunds ? Promise.resolve() : real.send(topic, events);
      return { ...real, send };
    },
  };
  return { ...ports, kafka };
};

/** What another shard lent arrives twice. */
const giveTwice: Wrap = (ports, world, kind) => {
  if (kind !== 'checkout') return ports;
  const borrow: ProcessPorts['store']['borrow'] = async (sale, at, quantity) => {
    const answer = await ports.store.borrow(sale, at, quantity);
    if (answer.moved > 0) add(world, at, 'free', 1);
    return answer;
  };
  return { ...ports, store: { ...ports.store, borrow } };
};

/** Writes the ledger without asking Redis whether the hold is still there. */
const neverSettle = store(['orders'], () => ({
  settle: (_at, batch) => Promise.resolve(batch.map(() => ({ code: 'done' as const, status: 'paid' as const }))),
}));

/** Confirms a purchase in two transactions: a crash in between leaves it half sold. */
const bookInParts: Wrap = (ports, _world, kind) => {
  if (kind !== 'orders') return ports;
  const ordersLedger: ProcessPorts['ordersLedger'] = () => {
    const real = ports.ordersLedger();
    const transaction: LedgerBook['transaction'] = async (work) => {
      const counts: (() => Promise<void>)[] = [];
      const result = await real.transaction((tx) =>
        work({
          ...tx,
          countSold: (moved) => {
            counts.push(() => real.transaction((later) => later.countSold(moved)));
            return Promise.resolve();
          },
        }),
      );
      for (const count of counts) await count();
      return result;
    };
    return { ...real, transaction };
  };
  return { ...ports, ordersLedger };
};

export const MUTATIONS: readonly Mutation[] = [
  { name: 'units come back twice', within: 50, wrap: releaseTwice },
  { name: 'settle ignores that the hold has expired', within: 200, wrap: settleIgnoresExpiry },
  { name: 'reserve is not idempotent', within: 50, wrap: reserveAnew },
  { name: 'the ledger has no guards', within: 300, off: ['guards'] },
  { name: 'orders confirms before the ledger', within: 50, wrap: confirmFirst },
  { name: 'orders commits its offsets before its work', within: 50, wrap: commitFirst },
  { name: 'orders books in two transactions', within: 50, wrap: bookInParts },
  { name: 'orders does not settle in Redis', within: 50, wrap: neverSettle },
  { name: 'orders never asks for a refund', within: 50, wrap: neverRefund },
  { name: 'payments charges a repeated purchase again', within: 50, wrap: chargeTwice },
  { name: 'the sweeper releases a paid hold', within: 50, wrap: sweepPaid },
  { name: 'sold out is told when the home shard is empty', within: 50, wrap: lookAtHomeOnly },
  { name: 'lent units arrive twice', within: 50, wrap: giveTwice },
];
