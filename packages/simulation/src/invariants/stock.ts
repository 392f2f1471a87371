/** The laws of the stock in Redis, looked at after every write: nothing appears or vanishes, and every hold ends once. */
import { canBecome, columnOf, keys, PURCHASE_STATUSES, type PurchaseStatus } from '@flashsale/sale';
import type { Entry } from '../redis/keyspace.ts';
import type { RedisServer } from '../redis/server.ts';
import { SALE, type Scenario } from '../plan.ts';

interface Counters {
  readonly stock: number;
  readonly free: number;
  readonly held: number;
  readonly sold: number;
}

/** The first fields of a hold; see hold-codec.ts in packages/sale. */
function readHold(text: string): { status: PurchaseStatus; sku: string; quantity: number } {
  const [status, , , sku = '', quantity] = text.split('\n', 5);
  return { status: PURCHASE_STATUSES[Number(status)] ?? 'reserved', sku, quantity: Number(quantity) };
}

const SHARD = /^fs:\{drop:(\d+)\}:/;

export class StockLaws {
  readonly #server: RedisServer;
  readonly #scenario: Scenario;
  readonly #now: () => number;
  readonly #fail: (what: string) => void;
  /**
   * Writes were lost: units that were on their way between shards may be lost or doubled until a rebuild. One node that
   * loses its own alone does that, and so does a failover between the taking of a unit and the giving.
   */
  #tornIn: number | undefined;
  /** When the sale last had fewer than so many free units of an item (by `sku units`), in simulated ms. */
  readonly #scarceAt = new Map<string, number>();
  readonly #scarce = new Set<string>();

  constructor(server: RedisServer, scenario: Scenario, now: () => number, fail: (what: string) => void) {
    this.#server = server;
    this.#scenario = scenario;
    this.#now = now;
    this.#fail = fail;
    server.data.onWrite = (before) => this.#look(before);
  }

  lostWrites(): void {
    if (this.#scenario.shards > 1) this.#tornIn = Math.max(...this.#epochs(), this.#tornIn ?? 0);
    this.#noteScarcity();
  }

  /** Whether there was an instant since `from` at which the whole sale had fewer free units than `quantity`. */
  wasScarce(sku: string, quantity: number, from: number): boolean {
    this.#noteScarcity();
    return (this.#scarceAt.get(`${sku} ${quantity}`) ?? -1) >= from;
  }

  #epochs(): number[] {
    return this.#shards().map((shard) => {
      const meta = this.#server.data.read(keys.meta(SALE, shard), 'hash');
      return Number(meta?.fields.get('epoch') ?? 0);
    });
  }

  #shards(): number[] {
    return Array.from({ length: this.#scenario.shards }, (_, shard) => shard);
  }

  #look(before: ReadonlyMap<string, Entry | undefined>): void {
    const shards = new Set([...before.keys()].map((key) => SHARD.exec(key)?.[1]));
    for (const text of shards) {
      const shard = Number(text);
      if (text === undefined || !this.#isWarm(shard)) continue;
      this.#lookAtHolds(shard, before.get(keys.holds(SALE, shard)));
    }
    this.#lookAtWhole();
    this.#noteScarcity();
  }

  #isWarm(shard: number): boolean {
    return this.#server.data.read(keys.meta(SALE, shard), 'hash')?.fields.has('epoch') ?? false;
  }

  /** Within one shard every script is one step, so its counters and its holds never disagree. */
  #lookAtHolds(shard: number, before: Entry | undefined): void {
    const units = new Map(this.#scenario.items.map(({ sku }) => [sku, { held: 0, sold: 0, free: 0 }]));
    for (const [id, text] of this.#server.data.read(keys.holds(SALE, shard), 'hash')?.fields ?? []) {
      if (id === '') continue;
      const { status, sku, quantity } = readHold(text);
      const sum = units.get(sku);
      if (sum) sum[columnOf(status)] += quantity;
      this.#lookAtMove(id, before, status);
    }
    for (const [sku, { held, sold }] of units) this.#compare(shard, sku, held, sold);
  }

  #compare(shard: number, sku: string, held: number, sold: number): void {
    const counters = this.#counters(shard, sku);
    if (!counters || (counters.held === held && counters.sold === sold)) return;
    const counted = `${counters.held} held and ${counters.sold} sold ${sku}`;
    this.#fail(`shard ${shard} counts ${counted}, its holds ${held} and ${sold}`);
  }

  #lookAtMove(id: string, before: Entry | undefined, status: PurchaseStatus): void {
    const old = before?.type === 'hash' ? before.fields.get(id) : undefined;
    if (old === undefined) return;
    const from = readHold(old).status;
    if (from !== status && !canBecome(from, status)) this.#fail(`the hold ${id} went from ${from} to ${status}`);
  }

  #counters(shard: number, sku: string): Counters | undefined {
    const fields = this.#server.data.read(keys.item(SALE, shard, sku), 'hash')?.fields;
    if (!fields) return undefined;
    const read = (name: string): number => Number(fields.get(name));
    return { stock: read('stock'), free: read('free'), held: read('held'), sold: read('sold') };
  }

  /** Units of an item over all shards, those in transit counted as free. Undefined where the sale is not warm as a whole. */
  #whole(sku: string): Counters | undefined {
    const epochs = this.#epochs();
    if (epochs.some((epoch) => epoch === 0 || epoch !== epochs[0])) return undefined;
    const all = this.#shards().map((shard) => this.#counters(shard, sku));
    if (!all.every((one) => one !== undefined)) return undefined;
    const sum = (name: keyof Counters): number => all.reduce((total, one) => total + one[name], 0);
    return { stock: sum('stock'), free: sum('free') + this.#inTransit(sku), held: sum('held'), sold: sum('sold') };
  }

  #inTransit(sku: string): number {
    let units = 0;
    for (const from of this.#shards()) {
      for (const [field, value] of this.#transfers(from)) {
        const [kind, to, of] = field.split(':');
        if (kind === 'out' && of === sku) units += this.#notArrived(from, Number(to), sku, value);
      }
    }
    return units;
  }

  #transfers(shard: number): ReadonlyMap<string, string> {
    return this.#server.data.read(keys.transfers(SALE, shard), 'hash')?.fields ?? new Map<string, string>();
  }

  /** `value` is the number of the transfer and its units. */
  #notArrived(from: number, to: number, sku: string, value: string): number {
    const [number = 0, units = 0] = value.split(':').map(Number);
    return Number(this.#transfers(to).get(`in:${from}:${sku}`) ?? 0) < number ? units : 0;
  }

  #lookAtWhole(): void {
    if (this.#tornIn !== undefined && this.#epochs().every((epoch) => epoch > (this.#tornIn ?? 0))) {
      this.#tornIn = undefined;
    }
    if (this.#tornIn !== undefined) return;
    for (const { sku } of this.#scenario.items) {
      const level = this.#whole(sku);
      if (level && level.free + level.held + level.sold !== level.stock) {
        this.#fail(`units appear or vanish: ${sku} ${JSON.stringify(level)}`);
      }
    }
  }

  #noteScarcity(): void {
    for (const { sku, perBuyer } of this.#scenario.items) {
      const free = this.#whole(sku)?.free ?? 0;
      for (let units = 1; units <= perBuyer; units++) {
        const key = `${sku} ${units}`;
        // What was scarce until this write was so up to now.
        if (free < units || this.#scarce.has(key)) this.#scarceAt.set(key, this.#now());
        if (free < units) this.#scarce.add(key);
        else this.#scarce.delete(key);
      }
    }
  }
}
