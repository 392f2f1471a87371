/**
 * Gathers the purchases of one event-loop tick into one Redis call per item and shard.
 * While calls are in flight the next batch grows, so that load makes batches larger rather than Redis busier.
 * Everything is bounded: purchases waiting, calls in flight, size of a batch, and each purchase's time.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { withDeadline } from '@flashsale/platform/deadline';
import type { Logger } from '@flashsale/platform/log';
import type {
  BorrowAnswer,
  PublishedSale,
  ReserveAnswer,
  ReserveRequest,
  SaleError,
  SaleStore,
  ShardItem,
} from '@flashsale/sale';
import type { Admitted } from './admitted.ts';
import { batchSize, setQueued } from './metrics.ts';
import type { ListedItem } from './sale-directory.ts';
import type { SoldOut } from './sold-out.ts';

/** What a purchase came to: the script's answer, sold out in the whole sale, or not to be known within its time. */
export type Outcome =
  ReserveAnswer | { readonly code: 'soldOut'; readonly error: SaleError } | { readonly code: 'unavailable' };

/** A purchase under way. Its request is an object of its own, since it goes to the store as it is. */
export interface Purchase {
  readonly request: ReserveRequest;
  readonly item: ListedItem;
  readonly shard: number;
  /** Monotonic ms (`performance.now()`) by which it must be answered. */
  readonly deadline: number;
  /** How often it was sent to Redis. */
  rounds: number;
  /** Called exactly once. */
  answer(outcome: Outcome): void;
}

interface Lane {
  readonly item: ListedItem;
  readonly at: ShardItem;
  queue: Purchase[];
  /** Found the shard empty; waiting for a borrow. */
  hungry: Purchase[];
  inFlight: number;
  borrowing: boolean;
  /** In the list of lanes to be flushed at the end of this tick. */
  marked: boolean;
  /** Purchases in the last call. */
  lastSize: number;
  /** The next batch is waited for; see `GATHER_MS`. */
  gathering: boolean;
}

export interface BatcherOptions {
  readonly store: Pick<SaleStore, 'reserve' | 'borrow'>;
  readonly soldOut: SoldOut;
  readonly admitted: Admitted;
  readonly log: Logger;
  /** Called after a batch reserved something: there is something in the shard's outbox. */
  readonly onReserved: (at: ShardItem) => void;
}

export const MAX_BATCH = 128;
/** While one call is under way the next batch gathers: one message to Redis, and one back, for more purchases. */
const MAX_IN_FLIGHT = 1;
/** A call that had so many purchases shows load: then the next batch may wait until it is worth its messages. */
const BUSY = 6;
/** A batch of so many is sent at once, and a smaller one under load after so many ms. */
const ENOUGH = 32;
const GATHER_MS = 4;
/** As many ask whether a sold-out item still is, while the rest waits for what they hear. */
const PROBE = 8;
/** About 0.2 s of Redis' work: what waits longer would miss its time anyway. */
const MAX_WAITING = 8_192;
/** Less time than this is not worth a call. In ms. */
const LEAST_MS = 50;
/** The share of the time left that a first call gets; the rest is for one more, should its reply be lost. */
const FIRST_SHARE = 0.55;
/** A call that fails at once is tried again only after this, in ms: the connection needs a moment. */
const BREATH_MS = 40;
/** Units borrowed here may be lent to another process before they are reserved; after so many rounds: come again. */
const MAX_ROUNDS = 16;
const UNAVAILABLE = { code: 'unavailable' } as const;

export class Batcher {
  readonly #options: BatcherOptions;
  readonly #lanes = new WeakMap<ShardItem, Lane>();
  /** The last borrow of each item, under way or done: shards that borrow at once take each other's units away. */
  readonly #borrows = new WeakMap<ListedItem, Promise<void>>();
  #marked: Lane[] = [];
  #waiting = 0;
  readonly #flush = (): void => {
    const lanes = this.#marked;
    this.#marked = [];
    for (const lane of lanes) {
      lane.marked = false;
      this.#gather(lane);
    }
  };

  constructor(options: BatcherOptions) {
    this.#options = options;
  }

  /** Purchases that are not answered yet. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Takes the purchase into this tick's batch. False: too many are waiting, nothing was done. */
  submit(purchase: Purchase): boolean {
    if (this.#waiting >= MAX_WAITING) return false;
    this.#waiting++;
    setQueued(this.#waiting);
    const lane = this.#laneOf(purchase);
    lane.queue.push(purchase);
    if (!lane.marked) {
      if (this.#marked.length === 0) setImmediate(this.#flush);
      lane.marked = true;
      this.#marked.push(lane);
    }
    return true;
  }

  #laneOf({ item, shard }: Purchase): Lane {
    const at = item.shards[shard];
    if (!at) throw new RangeError(`no shard ${shard} of ${item.sale.name}`);
    let lane = this.#lanes.get(at);
    if (!lane) {
      lane = {
        item,
        at,
        queue: [],
        hungry: [],
        inFlight: 0,
        borrowing: false,
        marked: false,
        lastSize: 0,
        gathering: false,
      };
      this.#lanes.set(at, lane);
    }
    return lane;
  }

  /** Sends what is there, or, under load, in a moment: one message each way costs as much as several purchases in it. */
  #gather(lane: Lane): void {
    const waiting = lane.queue.length;
    if (lane.lastSize < BUSY || waiting >= ENOUGH) {
      this.#dispatch(lane);
    } else if (waiting > 0 && !lane.gathering) {
      lane.gathering = true;
      setTimeout(() => {
        lane.gathering = false;
        this.#dispatch(lane);
      }, GATHER_MS);
    }
  }

  #dispatch(lane: Lane): void {
    while (lane.queue.length > 0 && lane.inFlight < MAX_IN_FLIGHT) {
      const probing = this.#mayAnswerSoon(lane.item);
      // The answer under way will do for most of the queue.
      if (probing && (lane.inFlight > 0 || lane.borrowing)) return;
      const batch = this.#takeBatch(lane, probing ? PROBE : MAX_BATCH);
      if (batch.length === 0) continue;
      lane.inFlight++;
      lane.lastSize = batch.length;
      void this.#send(lane, batch).finally(() => {
        lane.inFlight--;
        this.#gather(lane);
      });
    }
  }

  /** Whether the item is likely sold out still, and memory may say so to all once a few have asked. */
  #mayAnswerSoon(item: ListedItem): boolean {
    const { soldOut, admitted } = this.#options;
    return soldOut.suspects(item) && admitted.covers(item.sale, soldOut.since(item));
  }

  /** The next purchases that are worth a call; the others are answered. */
  #takeBatch(lane: Lane, limit: number): Purchase[] {
    const now = performance.now();
    const batch: Purchase[] = [];
    let taken = 0;
    while (taken < lane.queue.length && batch.length < limit) {
      const purchase = lane.queue[taken++] as Purchase;
      if (purchase.deadline - now < LEAST_MS || purchase.rounds >= MAX_ROUNDS) this.#answer(purchase, UNAVAILABLE);
      else if (!this.#answerFromMemory(purchase)) batch.push(purchase);
    }
    lane.queue = taken === lane.queue.length ? [] : lane.queue.slice(taken);
    return batch;
  }

  /** Purchases that waited while another found the item sold out need not ask again. */
  #answerFromMemory(purchase: Purchase): boolean {
    const error = this.recallSoldOut(purchase.item, purchase.request.buyer.id, purchase.request.quantity);
    if (error) this.#answer(purchase, { code: 'soldOut', error });
    return error !== undefined;
  }

  /** "Sold out" for a new purchase, where it is known without Redis. */
  recallSoldOut(item: ListedItem, buyer: string, quantity: number): SaleError | undefined {
    const { soldOut, admitted } = this.#options;
    const error = soldOut.recall(item, quantity);
    if (!error || !admitted.covers(item.sale, soldOut.since(item)) || admitted.has(item.sale.name, buyer))
      return undefined;
    return error;
  }

  async #send(lane: Lane, batch: readonly Purchase[]): Promise<void> {
    await this.#ask(lane, batch, (purchase) => lane.hungry.push(purchase));
    if (lane.hungry.length > 0 && !lane.borrowing) void this.#feed(lane);
  }

  /** Asks Redis for the purchases and answers them; `onEmpty` has those for which the shard has not enough. */
  async #ask(lane: Lane, batch: readonly Purchase[], onEmpty: (purchase: Purchase) => void): Promise<void> {
    batchSize.observe(batch.length);
    let deadline = Infinity;
    const requests: ReserveRequest[] = [];
    for (const purchase of batch) {
      purchase.rounds++;
      deadline = Math.min(deadline, purchase.deadline);
      requests.push(purchase.request);
    }
    const answers = await this.#reserve(lane.item.sale, lane.at, requests, deadline);
    let reserved = false;
    for (const [i, purchase] of batch.entries()) {
      const answer = answers?.[i] ?? UNAVAILABLE;
      reserved = answer.code === 'reserved' || reserved;
      if (answer.code === 'shardEmpty') onEmpty(purchase);
      else this.#conclude(lane, purchase, answer);
    }
    if (reserved) this.#options.onReserved(lane.at);
  }

  #conclude(lane: Lane, purchase: Purchase, answer: ReserveAnswer | typeof UNAVAILABLE): void {
    const isHeld = answer.code === 'reserved' || answer.code === 'replayed';
    if (isHeld) this.#options.admitted.add(lane.at.sale, purchase.request.buyer.id);
    this.#answer(purchase, answer);
  }

  /** Reserves; where the reply is lost or late, once more with the same ids: the script is idempotent. Never rejects. */
  async #reserve(
    sale: PublishedSale,
    at: ShardItem,
    requests: readonly ReserveRequest[],
    deadline: number,
  ): Promise<ReserveAnswer[] | undefined> {
    const { store, log } = this.#options;
    for (const share of [FIRST_SHARE, 1]) {
      const left = deadline - performance.now();
      if (left < LEAST_MS) return undefined;
      try {
        return await withDeadline('reserve', left * share, store.reserve(sale, at, requests));
      } catch (error) {
        log.warn({ err: error, sale: at.sale, shard: at.shard, size: requests.length }, 'reserve failed');
        if (share === FIRST_SHARE) await pause(BREATH_MS);
      }
    }
    return undefined;
  }

  /** Borrows for the purchases that found the shard empty, until there are none. One borrow an item at a time. */
  async #feed(lane: Lane): Promise<void> {
    lane.borrowing = true;
    while (lane.hungry.length > 0) {
      const turn = (this.#borrows.get(lane.item) ?? Promise.resolve()).then(() => this.#borrowFor(lane));
      this.#borrows.set(lane.item, turn);
      await turn;
    }
    lane.borrowing = false;
    this.#dispatch(lane);
  }

  async #borrowFor(lane: Lane): Promise<void> {
    const purchases = lane.hungry.filter((purchase) => !this.#answerFromMemory(purchase));
    lane.hungry = [];
    if (purchases.length === 0) return;
    const { soldOut } = this.#options;
    const quantity = Math.min(...purchases.map(({ request }) => request.quantity));
    const question = soldOut.ask();
    const answer = await this.#borrow(lane, quantity, Math.min(...purchases.map(({ deadline }) => deadline)));
    if (!answer) {
      for (const purchase of purchases) this.#answer(purchase, UNAVAILABLE);
    } else if (answer.moved === 0) {
      const error = soldOut.remember(lane.item, quantity, answer, question);
      // Once more: the same purchase may have been admitted through another process meanwhile (see the port).
      await this.#ask(lane, purchases, (purchase) => this.#answer(purchase, { code: 'soldOut', error }));
    } else {
      // They are sent before another shard's borrow is, on the same connection: nobody here takes the units away.
      soldOut.forget(lane.item);
      lane.queue = [...purchases, ...lane.queue];
      this.#dispatch(lane);
    }
  }

  async #borrow(lane: Lane, quantity: number, deadline: number): Promise<BorrowAnswer | undefined> {
    const { store, log } = this.#options;
    const left = deadline - performance.now();
    if (left < LEAST_MS) return undefined;
    try {
      return await withDeadline('borrow', left, store.borrow(lane.item.sale, lane.at, quantity));
    } catch (error) {
      log.warn({ err: error, sale: lane.at.sale, shard: lane.at.shard }, 'borrow failed');
      return undefined;
    }
  }

  #answer(purchase: Purchase, outcome: Outcome): void {
    this.#waiting--;
    setQueued(this.#waiting);
    purchase.answer(outcome);
  }
}
