/** The surroundings of an operator under test: a real Redis, and a log, a ledger, consumers and workloads in memory. */
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, type Clock } from '@flashsale/kube/clock';
import { createLogger } from '@flashsale/platform/log';
import {
  connectRedis,
  createPageCache,
  createSaleStore,
  createSignals,
  type RedisConnection,
} from '@flashsale/platform/redis';
import {
  ExpirySpread,
  keys,
  purchaseId,
  TOPICS,
  type HotPages,
  type Ledger,
  type LedgerEntry,
  type PageCache,
  type PublishedSale,
  type PurchaseLog,
  type PurchaseReserved,
  type PurchaseResolved,
  type PurchaseStatus,
  type ResolveAnswer,
  type SaleEvent,
  type SaleStore,
  type TopicName,
  type Workloads,
} from '@flashsale/sale';
import { ClockWatch } from './clock-watch.ts';
import { Demands } from './demands.ts';
import { KnownSales } from './known-sales.ts';
import { resourceFolder } from './resources.ts';
import { createRunner, type Runner } from './runner.ts';
import type { OperatorDeps } from './scope.ts';
import type { SaleStatus } from './status.ts';

export const SKU = 'shoe';
const SHARDS = 2;
const UNTIL_MS = 20_000;

export interface SpecChange {
  readonly opensAt?: number;
  readonly closesAt?: number;
  readonly [field: string]: unknown;
}

type Allocation = Map<string, { allocated: number; sold: number }>;
type Server = 'ledger' | 'log' | 'workloads' | 'catalog' | 'redis';

/** Puts nothing off but for ever: passes begin when a test asks for them. */
const byHand: Clock = { ...systemClock, after: () => () => undefined };

export interface Operator {
  readonly runner: Runner;
  readonly notes: { readonly fields: Record<string, unknown>; readonly message: string }[];
  /** One pass of every sale. */
  pass(): Promise<void>;
  readonly stopping: AbortController;
}

export class World {
  readonly redis: RedisConnection;
  readonly store: SaleStore;
  readonly folder: string;
  readonly topics: Record<string, SaleEvent[]> = {};
  readonly committed = new Map<string, number>();
  readonly entries = new Map<string, LedgerEntry>();
  readonly allocations = new Map<string, Allocation>();
  readonly replicas = new Map<string, { desired: number; ready: number }>();
  /** Servers that fail each call. */
  readonly down = new Set<Server>();
  /** Pages of this world alone: list pages have the same names everywhere. */
  readonly #prefix = `w-${randomBytes(6).toString('hex')}/`;
  readonly cache: PageCache;
  #buyers = 0;

  private constructor(redis: RedisConnection, folder: string) {
    this.redis = redis;
    this.store = createSaleStore(redis);
    this.cache = createPageCache(redis, this.#prefix);
    this.folder = folder;
    for (const topic of Object.values(TOPICS)) this.topics[topic] = [];
  }

  static async start(redisUrl: string): Promise<World> {
    const redis = connectRedis(redisUrl, createLogger('operator-test', 'silent'));
    await redis.start();
    const folder = await mkdtemp(join(tmpdir(), 'operator-'));
    await mkdir(join(folder, 'shop'));
    return new World(redis, folder);
  }

  async stop(): Promise<void> {
    await this.redis.stop();
    await rm(this.folder, { recursive: true });
  }

  // ---- resources

  path(name: string, ending = '.yaml'): string {
    return join(this.folder, 'shop', `${name}${ending}`);
  }

  async apply(name: string, spec: SpecChange, namespace = 'shop'): Promise<void> {
    await mkdir(join(this.folder, namespace), { recursive: true });
    // JSON is YAML.
    await writeFile(join(this.folder, namespace, `${name}.yaml`), JSON.stringify(documentOf(name, spec, namespace)));
  }

  async delete(name: string): Promise<void> {
    await writeFile(this.path(name, '.deleted'), '');
  }

  async status(name: string, namespace = 'shop'): Promise<SaleStatus | undefined> {
    const text = await readFile(join(this.folder, namespace, `${name}.status.json`), 'utf8').catch(() => undefined);
    return text === undefined ? undefined : (JSON.parse(text) as SaleStatus);
  }

  async published(name: string): Promise<PublishedSale | undefined> {
    return (await this.store.published()).find((sale) => sale.name === name);
  }

  // ---- the operator

  /** `wrap` may put faults between the operator and its ports, or let it pass by itself: `timers` of the system. */
  operator(wrap: (deps: OperatorDeps) => OperatorDeps = (deps) => deps): Operator {
    const stopping = new AbortController();
    const notes: { fields: Record<string, unknown>; message: string }[] = [];
    const store = this.#failing('redis', this.store);
    const ledger = this.#failing('ledger', this.ledger());
    const deps = wrap({
      resources: resourceFolder(this.folder),
      store,
      signals: createSignals(this.redis),
      log: this.#failing('log', this.log()),
      ledger,
      workloads: this.#failing('workloads', this.workloads()),
      pages: this.#pages(),
      expiries: new ExpirySpread(),
      demands: new Demands(),
      known: new KnownSales({ store, ledger }),
      clock: new ClockWatch(),
      timers: byHand,
      stopping: stopping.signal,
      note: (fields, message) => notes.push({ fields, message }),
    });
    const runner = createRunner(deps);
    void runner.start();
    const pass = async (): Promise<void> => {
      await runner.sweep();
      await runner.look();
      await runner.idle();
    };
    return { runner, notes, pass, stopping };
  }

  /** Passes, and `between` each two of them, until the sale's status is as wanted. */
  async until(
    operator: Operator,
    name: string,
    wanted: (status: SaleStatus) => boolean,
    between: () => Promise<unknown> = () => Promise.resolve(),
  ): Promise<SaleStatus> {
    const deadline = Date.now() + UNTIL_MS;
    for (;;) {
      await operator.pass();
      const status = await this.status(name);
      if (status && wanted(status)) return status;
      if (Date.now() > deadline) throw new Error(`never so; last: ${JSON.stringify(status)} ${String(wanted)}`);
      await between();
    }
  }

  // ---- the servers

  log(): PurchaseLog {
    return {
      offsets: (topic, group) => {
        const end = this.topics[topic]?.length ?? 0;
        return Promise.resolve([
          { partition: 0, start: 0, end, committed: this.committed.get(`${topic} ${group}`) ?? -1 },
        ]);
      },
      readAll: (topic) => each([...(this.topics[topic] ?? [])]),
    };
  }

  ledger(): Ledger {
    const of = (sale: string): Allocation => this.allocations.get(sale) ?? new Map<string, never>();
    return {
      allocate: (sale) => {
        const items = of(sale.name);
        for (const { sku, stock } of sale.items) {
          const sold = items.get(sku)?.sold ?? 0;
          if (sold > stock) return Promise.reject(new Error('less than is sold'));
          items.set(sku, { allocated: stock, sold });
        }
        this.allocations.set(sale.name, items);
        return Promise.resolve();
      },
      totals: (sale) => Promise.resolve([...of(sale)].map(([sku, total]) => ({ sku, ...total }))),
      entries: (sale) => each([...this.entries.values()].filter((entry) => entry.sale === sale)),
      sales: () =>
        each([...this.allocations].flatMap(([sale, items]) => [...items.keys()].map((sku) => ({ sale, sku })))),
    };
  }

  workloads(): Workloads {
    return {
      id: ({ kind, name }) => `${kind}/${name}`,
      get: ({ kind, name }) => Promise.resolve(this.replicas.get(`${kind}/${name}`)),
      scale: ({ kind, name }, count) => {
        this.replicas.set(`${kind}/${name}`, { desired: count, ready: count });
        return Promise.resolve();
      },
    };
  }

  /** A catalog that makes every page there may be, over the cache that it really has. */
  pages(): HotPages {
    return {
      preload: async (_sale, pages) => {
        await this.cache.put(pages.map((page) => ({ ...page, body: '{}', version: 1, loadMs: 1 })));
      },
      readBack: (names) => this.cache.left(names),
    };
  }

  #pages(): HotPages {
    const [catalog, redis] = [this.#failing('catalog', this.pages()), this.#failing('redis', this.pages())];
    return { preload: (sale, pages) => catalog.preload(sale, pages), readBack: (names) => redis.readBack(names) };
  }

  /** Redis forgets a page. */
  async losePage(name: string): Promise<void> {
    await this.redis.command('DEL', keys.page(this.#prefix + name));
  }

  #failing<T extends object>(server: Server, port: T): T {
    return before(port, () => {
      if (this.down.has(server)) throw new Error(`the ${server} is down`);
    });
  }

  // ---- buyers and consumers

  /** Buys as checkout does; resolves to the codes. */
  async buy(name: string, count: number): Promise<string[]> {
    const sale = await this.published(name);
    if (!sale) return [];
    const codes: string[] = [];
    for (let n = 0; n < count; n++) {
      const buyer = { id: `buyer-${++this.#buyers}`, number: this.#buyers };
      const shard = this.#buyers % sale.warm.shards;
      const id = purchaseId(sale.name, shard, String(this.#buyers).padStart(22, '0'));
      const request = { id, buyer, quantity: 1, correlationId: id };
      const [answer] = await this.store.reserve(sale, { sale: sale.name, shard, sku: SKU }, [request]);
      codes.push(answer?.code ?? 'none');
    }
    return codes;
  }

  /** What the relay and the sweeper of checkout do. */
  async relay(name: string): Promise<void> {
    for (let shard = 0; shard < SHARDS; shard++) {
      const due = await this.store.due(name, shard, 100).catch(() => []);
      const batch = due.map(({ id }) => ({ id, status: 'expired' as const, epoch: 0 }));
      if (batch.length > 0) await this.store.release({ sale: name, shard, sku: SKU }, batch);
      for (const entry of await this.store.readOutbox(name, shard, 'relay', 100, 0).catch(() => [])) {
        this.topics[entry.topic]?.push(...entry.events);
        await this.store.acknowledgeOutbox(name, shard, [entry.entryId]);
      }
    }
  }

  /** What payments and orders do with every record that is there; stops at one for which Redis is not ready. */
  async consume(charge: (event: PurchaseReserved) => 'paid' | 'refused' = () => 'paid'): Promise<void> {
    await this.#drain(TOPICS.purchases, 'orders', (event) => {
      if (event.type === 'reserved' && !this.entries.has(event.id)) this.#write(event, 'reserved');
      return Promise.resolve(true);
    });
    await this.#drain(TOPICS.purchases, 'payments', (event) => {
      // Too late to be charged: left to the sweeper.
      if (event.type !== 'reserved' || event.expiresAt <= Date.now()) return Promise.resolve(true);
      return this.#charge(event, charge(event));
    });
    await this.#drain(TOPICS.payments, 'orders', (event) => this.#book(event));
    this.committed.set(`${TOPICS.refunds} payments-refunds`, this.topics[TOPICS.refunds]?.length ?? 0);
  }

  async #drain(topic: TopicName, group: string, handle: (event: SaleEvent) => Promise<boolean>): Promise<void> {
    const key = `${topic} ${group}`;
    const events = this.topics[topic] ?? [];
    for (let at = this.committed.get(key) ?? 0; at < events.length; at++) {
      if (!(await handle(events[at] as SaleEvent))) return;
      this.committed.set(key, at + 1);
    }
  }

  async #charge(event: PurchaseReserved, status: 'paid' | 'refused'): Promise<boolean> {
    if (status === 'refused') {
      const [answer] = await this.store.release(shardOf(event), [{ id: event.id, status, epoch: event.epoch }]);
      if (isNotReady(answer)) return false;
    }
    this.topics[TOPICS.payments]?.push(resolved(event, status));
    return true;
  }

  async #book(event: SaleEvent): Promise<boolean> {
    if (event.type === 'refund' || event.type === 'reserved') return true;
    const open = (this.entries.get(event.id)?.status ?? 'reserved') === 'reserved';
    if (event.type === 'paid') return this.#decide(event, open);
    if (open) this.#write(event, event.type);
    return true;
  }

  async #decide(event: PurchaseResolved, open: boolean): Promise<boolean> {
    const [answer] = await this.store.settle(shardOf(event), [{ id: event.id, epoch: event.epoch }]);
    if (isNotReady(answer)) return false;
    if (!open) return true;
    if (isSettled(answer) && this.#sell(event)) {
      this.#write(event, 'paid');
      return true;
    }
    await this.store.release(shardOf(event), [{ id: event.id, status: 'refunded', epoch: event.epoch }]);
    this.topics[TOPICS.payments]?.push(resolved(event, 'refunded'));
    this.#write(event, 'refunded');
    return true;
  }

  /** The ledger's guard: no more than is allocated. */
  #sell({ sale, sku }: SaleEvent): boolean {
    const item = this.allocations.get(sale)?.get(sku);
    if (!item || item.sold >= item.allocated) return false;
    item.sold += 1;
    return true;
  }

  #write(event: Exclude<SaleEvent, { type: 'refund' }>, status: PurchaseStatus): void {
    const { id, sale, sku, buyer, buyerNumber = 0, quantity, amountMinor, currency } = event;
    const reservedAt = event.type === 'reserved' ? event.reservedAt : event.at;
    this.entries.set(id, { id, sale, sku, buyer, buyerNumber, quantity, status, amountMinor, currency, reservedAt });
  }
}

/** A FlashSale with two shards of ten shoes; open for a minute where `spec` says nothing else. */
export function documentOf(name: string, spec: SpecChange, namespace: string) {
  const { opensAt, closesAt, ...rest } = { opensAt: Date.now() - 1_000, closesAt: Date.now() + 60_000, ...spec };
  return {
    apiVersion: 'flashsale.dev/v1',
    kind: 'FlashSale',
    metadata: { name, namespace },
    spec: {
      opensAt: new Date(opensAt).toISOString(),
      closesAt: new Date(closesAt).toISOString(),
      items: [itemOf(10)],
      payment: { holdFor: '60s' },
      warm: { leadTime: '1h', shards: SHARDS },
      ...rest,
    },
  };
}

export const itemOf = (stock: number, sku = SKU) => ({ sku, stock, price: { amount: '1.00', currency: 'EUR' } });

const isNotReady = (answer: ResolveAnswer | undefined): boolean =>
  answer?.code === 'notWarm' || answer?.code === 'wrongEpoch';
const isSettled = (answer: ResolveAnswer | undefined): boolean => answer?.code === 'done' || answer?.code === 'already';
const shardOf = (event: SaleEvent) => ({ sale: event.sale, shard: Number(event.id.split('.')[1]), sku: event.sku });

function resolved(event: SaleEvent, type: Exclude<PurchaseStatus, 'reserved'>): SaleEvent {
  const { id, sale, sku, quantity, buyer, amountMinor, currency, epoch, correlationId } = event;
  return { id, sale, sku, quantity, buyer, amountMinor, currency, epoch, correlationId, type, at: Date.now() };
}

async function* each<T>(list: readonly T[]): AsyncGenerator<T> {
  for (const item of list) yield await Promise.resolve(item);
}

/** The port with a look before each call, and after it where `after`. A look may throw. */
export function before<T extends object>(port: T, look: (method: string) => void, after = false): T {
  return new Proxy(port, {
    get(target, property) {
      const method = Reflect.get(target, property) as unknown;
      if (typeof method !== 'function') return method;
      const call = method as (...args: unknown[]) => unknown;
      return (...args: unknown[]) => looked(call.bind(target), args, () => look(String(property)), after);
    },
  });
}

function looked(call: (...args: unknown[]) => unknown, args: unknown[], look: () => void, after: boolean): unknown {
  try {
    look();
  } catch (error) {
    return failed(error instanceof Error ? error : new Error(String(error)));
  }
  const result = call(...args);
  if (!(result instanceof Promise) || !after) return result;
  return result.then((value: unknown) => {
    look();
    return value;
  });
}

/** Fails as a promise and as an iterable: the caller awaits the one or walks the other. */
function failed(error: Error): unknown {
  const promise = Promise.reject(error);
  promise.catch(() => undefined);
  return Object.assign(promise, { [Symbol.asyncIterator]: () => ({ next: () => promise }) });
}
