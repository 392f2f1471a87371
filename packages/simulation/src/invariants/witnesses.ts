/** What must be so after every step, and what buyers were told: the first thing that is not so ends the simulation. */
import { canBecome, canMove, type Buyer, type PurchaseStatus } from '@flashsale/sale';
import type { SaleStatus } from '@flashsale/operator/status';
import type { Answer, Wish, Witness } from '../actors/buyer.ts';
import type { PurchaseRow } from '../database/orders-ledger.ts';
import type { World } from '../world.ts';
import { watchBook, watchLedger } from './books.ts';
import { StockLaws } from './stock.ts';

/** A checkout process may answer "sold out" from memory that is so old, ms; see sold-out.ts of services/checkout. */
const REMEMBERED_MS = 200;

type Status = Partial<SaleStatus>;

interface Told {
  readonly buyer: string;
  readonly sku: string;
  readonly quantity: number;
  status: PurchaseStatus;
}

export class Witnesses implements Witness {
  readonly #world: World;
  readonly #stock: StockLaws;
  /** What buyers know of their purchases, by id. */
  readonly known = new Map<string, Told>();
  /** The id of each purchase, by buyer and key. */
  readonly #ids = new Map<string, string>();
  /** Nodes of Redis that have lost writes: what was told of their holds may be forgotten. */
  readonly lossyNodes = new Set<number>();
  /** The first thing that was not as it must be. */
  violation: string | undefined;

  constructor(world: World) {
    this.#world = world;
    const { scenario } = world.plan;
    const fail = (what: string): void => this.fail(what);
    this.#stock = new StockLaws(world.redis, scenario, () => world.scheduler.now, fail);
    watchLedger(world.orders, new Map(scenario.items.map(({ sku, perBuyer }) => [sku, perBuyer])), fail);
    watchBook(world.payments, fail);
    world.kube.onStatus = (before, after) => this.#moves(before, after);
  }

  /** Epochs never go back, and phases move as the domain allows. */
  #moves(before: Status | undefined, after: Status): void {
    const { epoch = 0, phase = 'Scheduled' } = before ?? {};
    if ((after.epoch ?? 0) < epoch) this.fail(`the epoch went from ${epoch} back to ${after.epoch}`);
    if (after.phase && after.phase !== phase && !canMove(phase, after.phase)) {
      this.fail(`the sale went from ${phase} to ${after.phase}`);
    }
  }

  fail(what: string, cause?: unknown): void {
    const why = cause instanceof Error ? `: ${cause.stack ?? cause.message}` : '';
    this.violation ??= `${what}${why}`;
    this.#trace(`VIOLATION ${what}${why}`);
  }

  #trace(text: string): void {
    if (this.#world.trace.on) this.#world.trace.add(this.#world.scheduler.now, text);
  }

  lostWrites(node: number): void {
    this.lossyNodes.add(node);
    this.#stock.lostWrites();
  }

  get #lossy(): boolean {
    return this.lossyNodes.size > 0;
  }

  answered(buyer: Buyer, wish: Wish, answer: Answer, sentAt: number): void {
    const { status, body } = answer;
    this.#trace(
      `${buyer.id} is answered ${status} ${String(body['code'] ?? body['status'])} for ${JSON.stringify(wish)}`,
    );
    if (status === 202) this.#accepted(buyer, wish, body);
    if (body['code'] === 'sold_out' && !this.#stock.wasScarce(wish.sku, wish.quantity, sentAt - REMEMBERED_MS)) {
      this.fail(
        `${buyer.id} was told that ${wish.quantity} ${wish.sku} are sold out while there were as many all the time`,
      );
    }
    if (status >= 500 && status !== 503) this.fail(`${buyer.id} was answered ${status}`);
  }

  #accepted(buyer: Buyer, { key, sku, quantity }: Wish, body: Answer['body']): void {
    const id = String(body['id']);
    const first = this.#ids.get(`${buyer.id} ${key}`) ?? id;
    if (first !== id) this.fail(`one key of ${buyer.id} got two purchases: ${first} and ${id}`);
    this.#ids.set(`${buyer.id} ${key}`, id);
    const known = this.known.get(id);
    if (body['sku'] !== sku || body['quantity'] !== quantity) this.fail(`${id} was answered for other goods`);
    if (known && !this.#lossy && (known.sku !== sku || known.quantity !== quantity)) {
      this.fail(`two answers for ${id} differ`);
    }
    if (!known) this.known.set(id, { buyer: buyer.id, sku, quantity, status: 'reserved' });
    this.told(buyer, id, body['status'] as PurchaseStatus);
  }

  #checkPaid(buyer: Buyer, id: string): void {
    const row = this.#world.orders.table('purchases').get(id) as PurchaseRow | undefined;
    if (row?.status === 'paid' || row?.status === 'refunded') return;
    this.fail(`${buyer.id} was told that ${id} is paid, the ledger says ${row?.status ?? 'nothing'}`);
  }

  /** By a look or by a push. An older word may arrive after a newer one; a contradiction may not. */
  told(buyer: Buyer, id: string, status: PurchaseStatus): void {
    this.#trace(`${buyer.id} is told ${id} ${status}`);
    if (status === 'paid') this.#checkPaid(buyer, id);
    const known = this.known.get(id);
    if (!known || known.status === status) return;
    if (canBecome(known.status, status)) known.status = status;
    else if (!canBecome(status, known.status) && !this.#lossy) {
      this.fail(`${buyer.id} was told that ${id} is ${known.status}, then ${status}`);
    }
  }
}
