/**
 * The hot route: `POST /api/v1/sales/{sale}/purchases`, answered on the HTTP server ahead of Express.
 * Everything that can be refused without Redis is; the rest goes into this tick's batch and is answered within a second.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { correlationIdOf, type HotRoute, toSaleError } from '@flashsale/platform/http';
import type { Logger } from '@flashsale/platform/log';
import { bearerToken, type Identity, type TokenVerifier } from '@flashsale/platform/oidc';
import {
  type Buyer,
  type Hold,
  homeShard,
  purchaseId,
  type ReserveCode,
  type ReserveRequest,
  SaleError,
} from '@flashsale/sale';
import type { Batcher, Outcome, Purchase } from './batcher.ts';
import { countPurchase, latency } from './metrics.ts';
import { sendHold, sendRefusal, type To } from './purchase-answer.ts';
import {
  checkHeaders,
  idempotencyKey,
  MAX_BODY,
  parseBody,
  purchaseDigest,
  saleOf,
  tooLarge,
} from './purchase-request.ts';
import type { ListedItem, ListedSale, SaleDirectory } from './sale-directory.ts';

/** A buyer has an answer within a second; the rest of it is for the way there and back. In ms. */
const BUDGET_MS = 850;

export interface PurchaseOptions {
  readonly directory: SaleDirectory;
  readonly verifier: TokenVerifier;
  readonly batcher: Batcher;
  readonly log: Logger;
}

interface Context extends PurchaseOptions {
  /** Purchases under way in this process, by sale, buyer and key. */
  readonly inFlight: Set<string>;
}

/** What the script refuses, as the buyer hears it. Made once: an error with its stack costs more than the answer. */
const REFUSALS: Readonly<Record<Exclude<ReserveCode, 'reserved' | 'replayed'>, SaleError>> = {
  shardEmpty: tryAgain('The stock is moving between shards.'),
  limitReached: new SaleError('limit_reached', 'Nothing was reserved beyond what you have.'),
  notOpen: tryAgain('The sale is about to open.'),
  closed: new SaleError('sale_closed', 'It takes no more purchases.'),
  paused: tryAgain('The sale is paused.'),
  keyReused: new SaleError('idempotency_key_reused', 'Use a new key for another sku or quantity.'),
  notEligible: new SaleError('not_eligible', 'Your account is not on the list of members.'),
  notWarm: tryAgain('The stock is being loaded.'),
  wrongEpoch: tryAgain('The stock is being rebuilt.'),
};
const IN_FLIGHT = new SaleError('purchase_in_flight', 'Wait for its answer, or repeat it a moment later.');
const OVERLOADED = tryAgain('Too many purchases are waiting.');
const UNAVAILABLE = tryAgain('The stock could not be asked in time. Repeat with the same Idempotency-Key.');
/** `try_again_later`s after which the sale is read again: what this process knows of it may be old. */
const STALE: readonly string[] = ['notWarm', 'wrongEpoch'];

function tryAgain(detail: string): SaleError {
  return new SaleError('try_again_later', detail);
}

/** The hot route of checkout; it takes every POST to a sale's purchases, and no other request. */
export function purchaseRoute(options: PurchaseOptions): HotRoute {
  const context: Context = { ...options, inFlight: new Set() };
  return (req, res) => {
    if (req.method !== 'POST') return false;
    const sale = saleOf(req.url);
    if (sale === undefined) return false;
    new Exchange(context, req, res).begin(sale);
    return true;
  };
}

/** One request and its answer. It is the purchase that the batcher carries, too: one object a request. */
class Exchange implements Purchase {
  readonly #context: Context;
  readonly #req: IncomingMessage;
  readonly #res: ServerResponse;
  readonly #startedAt = performance.now();
  readonly #correlationId: string;
  readonly deadline = this.#startedAt + BUDGET_MS;
  rounds = 0;
  request!: ReserveRequest;
  item!: ListedItem;
  shard = 0;
  #refreshed = false;
  #key = '';
  #attempt = '';
  #sale = '';

  constructor(context: Context, req: IncomingMessage, res: ServerResponse) {
    this.#context = context;
    this.#req = req;
    this.#res = res;
    this.#correlationId = correlationIdOf(req);
  }

  begin(sale: string): void {
    try {
      this.#sale = sale;
      const identity = this.#context.verifier.verify(bearerToken(this.#req.headers.authorization));
      if (identity instanceof Promise) void this.#later(identity);
      else this.#admit(identity);
    } catch (error) {
      this.#fail(error);
    }
  }

  async #later(identity: Promise<Identity>): Promise<void> {
    try {
      this.#admit(await identity);
    } catch (error) {
      this.#fail(error);
    }
  }

  #admit({ buyer }: Identity): void {
    const { headers } = this.#req;
    this.#key = idempotencyKey(headers['idempotency-key']);
    const listed = this.#context.directory.find(this.#sale);
    // Long before the opening, the answer needs neither the body nor Redis. Near it, the script decides.
    if (this.#context.directory.clock.isSurelyBefore(listed.sale.opensAt)) {
      this.#refuse(listed.notOpen);
      return;
    }
    checkHeaders(headers['content-type'], headers['content-length']);
    readText(this.#req, (error, text) => {
      if (error) this.#refuse(error);
      else this.#onBody(text, listed, buyer);
    });
  }

  #onBody(text: string, listed: ListedSale, buyer: Buyer): void {
    try {
      const refusal = this.#purchase(text, listed, buyer);
      if (refusal) this.#refuse(refusal);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Returns what refuses it at once; what happens often is returned, since throwing costs microseconds. */
  #purchase(text: string, listed: ListedSale, buyer: Buyer): SaleError | undefined {
    const { batcher, inFlight } = this.#context;
    const { item, quantity } = parseBody(text, listed);
    const { sale } = listed;
    // Enough to tell one attempt from another; the id costs a hash, which a sold-out storm does not need.
    this.#attempt = `${sale.name}\0${buyer.id}\0${this.#key}`;
    if (inFlight.has(this.#attempt)) return IN_FLIGHT;
    const soldOut = batcher.recallSoldOut(item, buyer.id, quantity);
    if (soldOut) return soldOut;
    this.item = item;
    this.shard = homeShard(buyer.id, sale.warm.shards);
    const id = purchaseId(sale.name, this.shard, purchaseDigest(buyer.id, this.#key));
    this.request = { id, buyer, quantity, correlationId: this.#correlationId };
    if (!batcher.submit(this)) return OVERLOADED;
    inFlight.add(this.#attempt);
    return undefined;
  }

  /** Called by the batcher, once for each time it was submitted. */
  answer(outcome: Outcome): void {
    if (STALE.includes(outcome.code) && !this.#refreshed) {
      this.#refreshed = true;
      void this.#again(outcome);
      return;
    }
    this.#context.inFlight.delete(this.#attempt);
    latency.observe((performance.now() - this.#startedAt) / 1_000);
    if (outcome.code === 'soldOut') this.#refuse(outcome.error);
    else if (outcome.code === 'unavailable') this.#refuse(UNAVAILABLE);
    else if (outcome.code !== 'reserved' && outcome.code !== 'replayed') this.#refuse(this.#refusal(outcome.code));
    else if (outcome.hold) this.#accept(outcome.code, outcome.hold);
    else this.#refuse(UNAVAILABLE);
  }

  /** Reads the sale again, and tries once more where that says something new of it. */
  async #again(outcome: Outcome): Promise<void> {
    const { directory, batcher, log } = this.#context;
    const { sale } = this.item;
    try {
      await directory.refresh();
    } catch (error) {
      log.warn({ err: error }, 'cannot read the sales');
    }
    const listed = directory.get(sale.name);
    const item = listed?.items.get(this.item.item.sku);
    const isNews = item && item.sale.epoch !== sale.epoch && item.sale.warm.shards === sale.warm.shards;
    if (item) this.item = item;
    if (!isNews || !batcher.submit(this)) this.answer(outcome);
  }

  #refusal(code: Exclude<ReserveCode, 'reserved' | 'replayed'>): SaleError {
    const { phase, opensAt } = this.item.sale;
    // The stock of a sale that is over is taken out of Redis.
    if (code === 'notWarm' && (phase === 'Closed' || phase === 'Aborted')) return REFUSALS.closed;
    if (code === 'notOpen') {
      const iso = new Date(opensAt).toISOString();
      return new SaleError('sale_not_open', `It opens at ${iso}.`, { opensAt: iso });
    }
    return REFUSALS[code];
  }

  #accept(outcome: 'reserved' | 'replayed', hold: Hold): void {
    countPurchase(outcome);
    sendHold(this.#to(), hold);
  }

  #fail(error: unknown): void {
    const problem = toSaleError(error);
    if (problem.code === 'internal_error') {
      this.#context.log.error({ err: error, correlationId: this.#correlationId }, 'purchase failed');
    }
    this.#refuse(problem);
  }

  #refuse(problem: SaleError): void {
    countPurchase(problem.code);
    sendRefusal(this.#to(), problem);
  }

  #to(): To {
    return { res: this.#res, correlationId: this.#correlationId, sale: this.#sale };
  }
}

/** Reads a body of `MAX_BODY` bytes at most as UTF-8. `done` is called at most once; not at all where the client went away. */
function readText(req: IncomingMessage, done: (error: SaleError | undefined, text: string) => void): void {
  let first: Buffer | undefined;
  let more: Buffer[] | undefined;
  let size = 0;
  const onData = (chunk: Buffer): void => {
    size += chunk.length;
    if (size > MAX_BODY) {
      req.off('data', onData).off('end', onEnd);
      done(tooLarge(), '');
    } else if (!first) first = chunk;
    else (more ??= [first]).push(chunk);
  };
  const onEnd = (): void => {
    done(undefined, more ? Buffer.concat(more).toString() : (first?.toString() ?? ''));
  };
  req.on('data', onData);
  req.on('end', onEnd);
}
