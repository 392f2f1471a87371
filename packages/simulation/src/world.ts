/** The world of one simulation: stores, processes that crash and come back, buyers, and the faults of the plan. */
import { createSaleStore, createSignals } from '@flashsale/platform/redis';
import { HttpError } from '@flashsale/platform/http';
import { AllocationRefused } from '@flashsale/platform/ledger-http';
import type { Logger } from '@flashsale/platform/log';
import { topicsOfGroup } from '@flashsale/platform/kafka-topics';
import { TOPICS, type Ledger } from '@flashsale/sale';
import type { LedgerView } from '@flashsale/orders/ports';
import { buy } from './actors/buyer.ts';
import { startCheckout, type Checkout } from './actors/checkout.ts';
import { startOrders, startPayments } from './actors/consumers.ts';
import { startLive, type Live } from './actors/live.ts';
import { startOperator } from './actors/operator.ts';
import type { ProcessPorts } from './actors/ports.ts';
import { databaseStore, DatabaseConnection } from './database/connection.ts';
import { Database } from './database/database.ts';
import { simulatedLedger } from './database/orders-ledger.ts';
import { simulatedBook } from './database/payments-book.ts';
import { FaultPlan } from './faults.ts';
import { ApiServer } from './kube/api-server.ts';
import { simulatedLeases, simulatedResources } from './kube/client.ts';
import { EPOCH_MS, Life } from './life.ts';
import { Broker } from './log/broker.ts';
import { simulatedKafka } from './log/client.ts';
import type { Mutation } from './mutations.ts';
import { Network, tooLate, type NetworkHooks, type Store } from './network.ts';
import { buyerOf, PRICE_MINOR, processNames, SALE, type Action, type Plan } from './plan.ts';
import { randomOf } from './random.ts';
import { connectSimulatedRedis } from './redis/connection.ts';
import { PubSub } from './redis/pub-sub.ts';
import { RedisServer } from './redis/server.ts';
import { Scheduler } from './scheduler.ts';
import { Trace } from './trace.ts';
import { Witnesses } from './invariants/witnesses.ts';

const ORDERS_HTTP: Store = { name: 'orders-http', deadlineMs: 5_000, unreachable: tooLate('orders', 5_000) };
/** A process that crashed is back after so many ms at most. */
const RESTART_MS = 1_200;

export class World {
  readonly plan: Plan;
  readonly scheduler = new Scheduler();
  readonly trace: Trace;
  readonly network: Network;
  readonly redis: RedisServer;
  readonly pubSub: PubSub;
  readonly broker: Broker;
  readonly orders = new Database();
  readonly payments = new Database();
  readonly kube: ApiServer;
  /** The known bug that is planted. */
  readonly mutation: Mutation | undefined;
  readonly witnesses: Witnesses;
  readonly faults: FaultPlan;
  readonly lives = new Map<string, Life>();
  readonly checkouts = new Map<string, Checkout>();
  /** Purchases that buyers still wait for. */
  buying = 0;
  #spec: Record<string, unknown> = {};
  readonly #lives = new Map<string, Live>();

  constructor(plan: Plan, trace: Trace, mutation: Mutation | undefined) {
    this.plan = plan;
    this.mutation = mutation;
    this.kube = new ApiServer();
    this.trace = trace;
    this.faults = new FaultPlan(this);
    const hooks: NetworkHooks = {
      tracing: trace.on,
      trace: (text) => trace.add(this.scheduler.now, text),
      faultAt: (process, nth, store, what) => this.faults.faultAt(process, nth, store, what),
      isCut: (process, store) => this.faults.isCut(process, store),
      crash: (life, why) => this.crash(life, why),
    };
    this.network = new Network(this.scheduler, plan.seed, hooks);
    this.pubSub = new PubSub(this.network);
    const now = (): number => EPOCH_MS + Math.floor(this.scheduler.now);
    this.redis = new RedisServer({
      now,
      nodeOf: this.nodeOf,
      publish: (channel, text) => this.pubSub.publish(channel, text),
    });
    this.broker = new Broker(now);
    this.witnesses = new Witnesses(this);
  }

  readonly nodeOf = (key: string): number => {
    const shard = /^fs:\{[^:]*:(\d+)\}/.exec(key)?.[1];
    return shard === undefined ? 0 : Number(shard) % this.plan.scenario.nodes;
  };

  begin(): void {
    const { scenario, actions } = this.plan;
    const groups = {
      payments: [TOPICS.purchases],
      orders: [TOPICS.purchases, TOPICS.payments],
      'payments-refunds': [TOPICS.refunds],
    };
    for (const [group, topics] of Object.entries(groups)) {
      for (const { topic, partitions } of topics.flatMap((one) => topicsOfGroup(one, group, scenario.partitions))) {
        this.broker.createTopic(topic, partitions);
      }
    }
    this.#spec = this.#firstSpec();
    this.kube.applySpec(SALE, this.#spec);
    for (const name of processNames(scenario)) this.start(name);
    for (const action of actions) this.scheduler.after(action.at, undefined, () => this.#act(action));
    this.faults.begin();
  }

  #firstSpec(): Record<string, unknown> {
    const { items, opensAt, closesAt, notReady, holdForMs, shards } = this.plan.scenario;
    const iso = (ms: number): string => new Date(EPOCH_MS + ms).toISOString();
    const price = { amount: (PRICE_MINOR / 100).toFixed(2), currency: 'EUR' };
    return {
      opensAt: iso(opensAt),
      closesAt: iso(closesAt),
      paused: false,
      notReady,
      membersOnly: false,
      items: items.map((item) => ({ ...item, price })),
      payment: { holdFor: `${holdForMs}ms` },
      warm: { leadTime: '1h', shards, cache: { pages: 0 } },
    };
  }

  #act(action: Action): void {
    this.trace.add(this.scheduler.now, `action ${JSON.stringify(action)}`);
    if (action.kind === 'buy') {
      this.#buy(action);
      return;
    }
    if (action.kind === 'raise') {
      const items = this.#spec['items'] as { sku: string; stock: number }[];
      const raised = items.map((item) =>
        item.sku === action.sku ? { ...item, stock: item.stock + action.units } : item,
      );
      this.#spec = { ...this.#spec, items: raised };
    } else {
      this.#spec = { ...this.#spec, paused: action.kind === 'pause' };
    }
    this.kube.applySpec(SALE, this.#spec);
  }

  #buy({ buyer: nth, key, sku, quantity, at }: Extract<Action, { kind: 'buy' }>): void {
    const buyer = buyerOf(nth);
    const life = new Life(buyer.id, at, this.scheduler.now, randomOf(this.plan.seed, buyer.id, at));
    this.buying++;
    for (const live of this.#lives.values()) {
      live.connect(buyer, (id, status) => this.witnesses.told(buyer, id, status));
    }
    const ports = { life, network: this.network, witness: this.witnesses, pick: () => this.#pick(life) };
    this.scheduler.after(0, life, () => {
      void buy(ports, buyer, { key, sku, quantity }).then(
        () => this.buying--,
        (error: unknown) => this.witnesses.fail('a buyer was answered with an error', error),
      );
    });
  }

  #pick(buyer: Life): { life: Life; checkout: Checkout } | undefined {
    const serving = [...this.checkouts].filter(([name]) => this.lives.get(name)?.alive);
    if (serving.length === 0) return undefined;
    const [name, checkout] = serving[Math.floor(buyer.random.next() * serving.length)] as [string, Checkout];
    return { life: this.lives.get(name) as Life, checkout };
  }

  checks(what: NonNullable<Mutation['off']>[number]): boolean {
    return this.mutation?.off?.includes(what) !== true;
  }

  // ---- processes

  start(name: string): void {
    const number = (this.lives.get(name)?.number ?? -1) + 1;
    const life = new Life(name, number, this.scheduler.now, randomOf(this.plan.seed, name, number));
    this.lives.set(name, life);
    this.trace.add(this.scheduler.now, `${name} starts`);
    const boot = STARTERS[name.replace(/-\d+$/, '')];
    if (!boot) throw new Error(`no process is called ${name}`);
    const kind = name.replace(/-\d+$/, '');
    const wrap = this.mutation?.wrap ?? ((ports: ProcessPorts) => ports);
    this.scheduler.after(0, life, () => boot(wrap(this.#ports(life), this, kind), this));
  }

  crash(life: Life, why: string): void {
    if (!life.alive) return;
    life.alive = false;
    this.trace.add(this.scheduler.now, `${life.name} CRASHES ${why}`);
    this.checkouts.delete(life.name);
    this.#lives.delete(life.name);
    for (const act of life.onDeath) act();
    const wait = randomOf(this.plan.seed, 'restart', life.name, life.number).next() * RESTART_MS;
    this.scheduler.after(wait, undefined, () => this.start(life.name));
  }

  /** The simulation is over: lets go of what the process holds. */
  end(life: Life): void {
    life.alive = false;
    for (const act of life.onDeath) act();
  }

  openCheckout(life: Life, checkout: Checkout): void {
    this.checkouts.set(life.name, checkout);
  }

  openLive(life: Life, live: Live): void {
    this.#lives.set(life.name, live);
  }

  #ports(life: Life): ProcessPorts {
    const { network } = this;
    const log = this.trace.logger(life, this.scheduler);
    const options = { network, server: this.redis, pubSub: this.pubSub, nodeOf: this.nodeOf };
    const redis = connectSimulatedRedis(life, options);
    const kafka = simulatedKafka(life, {
      network,
      broker: this.broker,
      log,
      seed: this.plan.seed,
      shuffles: () => this.faults.shuffles(),
    });
    const view = this.#ordersOf(life);
    return {
      life,
      log,
      redis,
      store: createSaleStore(redis),
      signals: createSignals(redis),
      kafka,
      ordersLedger: () => this.#ledgerOf(life),
      book: () => simulatedBook(this.#database(life, 'payments-db')),
      orders: { json: (_method, path) => entryOverHttp(view, path) },
      ledger: ledgerOverHttp(view),
      resources: () => simulatedResources(life, network, this.kube),
      leases: () => simulatedLeases(life, network, this.kube),
      workloads: { id: ({ name }) => name, get: () => Promise.resolve(undefined), scale: () => Promise.resolve() },
      exit: (why) => this.crash(life, `ends: ${why}`),
      start: (parts) => this.#start(life, parts, log),
    };
  }

  async #start(life: Life, parts: Parameters<ProcessPorts['start']>[0], log: Logger): Promise<void> {
    try {
      for (const part of parts) await part.start?.();
    } catch (error) {
      log.error({ err: error }, 'the process could not start');
      this.crash(life, 'at its start');
      await new Promise(() => undefined);
    }
  }

  #database(life: Life, name: 'orders-db' | 'payments-db'): DatabaseConnection {
    const database = name === 'orders-db' ? this.orders : this.payments;
    return new DatabaseConnection(life, this.network, databaseStore(name), database);
  }

  #ledgerOf(life: Life): ReturnType<typeof simulatedLedger> {
    return simulatedLedger(this.#database(life, 'orders-db'), this.checks('guards'));
  }

  /** The ledger through the internal HTTP of orders: one call each way, which needs an orders process that lives. */
  #ordersOf(life: Life): LedgerView {
    const database = new DatabaseConnection(life, this.network, ORDERS_HTTP, this.orders, () => {
      const serves = [...this.lives].some(([name, { alive }]) => name.startsWith('orders') && alive);
      if (!serves) throw new Error('connection refused');
    });
    return simulatedLedger(database);
  }
}

async function entryOverHttp<T>(view: LedgerView, path: string): Promise<T> {
  const id = decodeURIComponent(path.split('/').at(-1) ?? '');
  const entry = await view.entry(id);
  if (!entry) throw new HttpError(`GET ${path}`, 404, '');
  return entry as T;
}

function ledgerOverHttp(view: LedgerView): Ledger {
  return {
    async allocate(sale) {
      const items = sale.items.map(({ sku, stock, perBuyer }) => ({ sku, allocated: stock, perBuyer }));
      if (!(await view.allocate(sale.name, items))) throw new AllocationRefused(sale.name, undefined);
    },
    totals: (sale) => view.totals(sale),
    entries: (sale) => view.entries(sale),
    sales: () => view.sales(),
  };
}

const STARTERS: Readonly<Record<string, (ports: ProcessPorts, world: World) => void>> = {
  checkout: (ports, world) => startCheckout(ports, (checkout) => world.openCheckout(ports.life, checkout)),
  payments: (ports) => startPayments(ports),
  orders: (ports) => startOrders(ports),
  live: (ports, world) => startLive(ports, (live) => world.openLive(ports.life, live)),
  operator: (ports) => startOperator(ports),
};
