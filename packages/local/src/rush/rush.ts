/** A crowd of different buyers rushes one sale, and every one of them is followed to his ending. */
import { randomInt, randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { internalClient } from '@flashsale/platform/http';
import { Shop, type Answer, type Shopper, type Tally } from './buyer.ts';
import { seededRandom } from './random.ts';

export interface RushOptions {
  readonly sale: string;
  readonly buyers: number;
  readonly concurrency: number;
  readonly seed?: number;
  /** Number of the first test buyer; the caller sees to it that no number is used twice in a sale. */
  readonly firstBuyer: number;
  readonly urls: { readonly edge: string; readonly identity: string; readonly payments: string };
  readonly onProgress?: (line: string) => void;
}

/** Every buyer is in exactly one of sold, refused, soldOut, other, errors and unsettled. */
export interface RushReport {
  readonly sale: string;
  readonly buyers: number;
  readonly seed: number;
  readonly sold: number;
  /** The payment was refused; the unit went back on sale. */
  readonly refused: number;
  readonly soldOut: number;
  /** Reservations that ran out or were given back. */
  readonly other: number;
  readonly errors: number;
  readonly unsettled: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** 99th percentile from a buyer's first try to his answer, further tries included. */
  readonly waitP99Ms: number;
  readonly perSecond: number;
  readonly retries: number;
  readonly pushed: number;
  readonly polled: number;
  /** Codes of `errors`, with their counts. */
  readonly errorCodes: Readonly<Record<string, number>>;
}

/** One buyer in this many has no credit, so that refusals, roll-backs and second chances are seen. */
const NO_CREDIT_SHARE = 0.1;
/** How long a reservation may take to end, over all: the hold time of a sale and then some. */
const ENDING_MS = 150_000;
/** How old the units left of a sale may be when they are told, in ms. */
const VIEW_AGE_MS = 300;

type Fate = 'sold' | 'refused' | 'soldOut' | 'other' | 'unsettled' | `error:${string}`;

interface SaleView {
  readonly opensAt: string;
  readonly now: string;
  readonly items: readonly { readonly sku: string; readonly remaining: number }[];
}

/** Sends the crowd and returns when every buyer has his ending. Throws where the sale or the test buyers cannot be had. */
export async function rush(options: RushOptions): Promise<RushReport> {
  const seed = options.seed ?? randomInt(2 ** 31);
  const say = options.onProgress ?? (() => undefined);
  const edge = internalClient(options.urls.edge, 10_000);
  const view = (): Promise<SaleView> => edge.json<SaleView>('GET', `/api/v1/sales/${options.sale}`);
  const sale = await view();
  // By the platform's clock, on ours.
  const opensAt = performance.now() + Date.parse(sale.opensAt) - Date.parse(sale.now);
  say(`${options.buyers} buyers get their tokens`);
  const shoppers = await gatherShoppers(options, sale, seed);
  const tally: Tally = { latencies: [], waits: [], retries: 0, pushed: 0, polled: 0 };
  const shop = new Shop(options.urls.edge, options.sale, options.concurrency, tally);
  try {
    const crowd = new Crowd(shop, view, options.concurrency, say);
    await untilOpen(opensAt, shoppers, crowd, say);
    await crowd.run(shoppers);
    return report(options, seed, crowd, tally);
  } finally {
    await shop.close();
  }
}

async function gatherShoppers(options: RushOptions, sale: SaleView, seed: number): Promise<Shopper[]> {
  const random = seededRandom(seed);
  const { buyers, firstBuyer, urls } = options;
  const identity = internalClient(urls.identity, 120_000);
  const tokens = (await identity.text('POST', '/internal/test-tokens', { count: buyers, from: firstBuyer }))
    .trim()
    .split('\n');
  const run = randomUUID();
  const poor: string[] = [];
  const shoppers = tokens.map((token, i) => {
    if (random() < NO_CREDIT_SHARE) poor.push(`buyer-${firstBuyer + i}`);
    const item = sale.items[Math.floor(random() * sale.items.length)];
    if (!item) throw new Error(`${options.sale} has no items`);
    return { token, key: `${run}-${i}`, sku: item.sku };
  });
  const payments = internalClient(urls.payments, 10_000);
  for (let from = 0; from < poor.length; from += 500) {
    const accounts = poor.slice(from, from + 500).map((buyer) => ({ buyer, creditMinor: 0 }));
    await payments.text('PUT', '/internal/accounts', { accounts });
  }
  return shuffled(shoppers, random);
}

/** Until the opening (by `performance.now`) the crowd looks at the sale's page: as many as have the time. */
async function untilOpen(
  opensAt: number,
  shoppers: readonly Shopper[],
  crowd: Crowd,
  say: (line: string) => void,
): Promise<void> {
  const left = opensAt - performance.now();
  if (left <= 0) return;
  say(`the sale opens in ${(left / 1000).toFixed(1)} s; the crowd looks at its page`);
  const opening = new AbortController();
  const timer = setTimeout(() => opening.abort(), left);
  await crowd.visit(shoppers, opening.signal);
  clearTimeout(timer);
  await pause(Math.max(0, opensAt - performance.now()));
}

/** The buyers under way and what became of each. */
class Crowd {
  readonly fates = new Map<Fate, number>();
  /** Seconds that the first wave took. */
  waveSeconds = 0;
  readonly #shop: Shop;
  readonly #view: () => Promise<SaleView>;
  readonly #concurrency: number;
  readonly #say: (line: string) => void;
  readonly #endings = new Set<Promise<void>>();
  #standby: Shopper[] = [];
  readonly #signal = new AbortController().signal;

  constructor(shop: Shop, view: () => Promise<SaleView>, concurrency: number, say: (line: string) => void) {
    this.#shop = shop;
    this.#view = view;
    this.#concurrency = concurrency;
    this.#say = say;
  }

  async run(shoppers: readonly Shopper[]): Promise<void> {
    const started = performance.now();
    const progress = setInterval(() => this.#say(this.#line(shoppers.length)), 1000);
    try {
      await this.#wave(shoppers);
      this.waveSeconds = (performance.now() - started) / 1000;
      await this.#secondChances();
      await Promise.all(this.#endings);
    } finally {
      clearInterval(progress);
    }
  }

  count(fate: Fate): number {
    return this.fates.get(fate) ?? 0;
  }

  /** Each looks at the sale's page once, until `opening` aborts. */
  async visit(shoppers: readonly Shopper[], opening: AbortSignal): Promise<void> {
    await this.#each(shoppers, async (shopper) => {
      if (!opening.aborted) await this.#shop.look(shopper, this.#signal);
    });
  }

  /** Sends each of `shoppers` once. */
  async #wave(shoppers: readonly Shopper[]): Promise<void> {
    await this.#each(shoppers, async (shopper) => this.#take(shopper, await this.#shop.buy(shopper, this.#signal)));
  }

  /** Does `act` for each, `concurrency` at a time. */
  async #each(shoppers: readonly Shopper[], act: (shopper: Shopper) => Promise<void>): Promise<void> {
    let next = 0;
    const worker = async (): Promise<void> => {
      for (let shopper = shoppers[next++]; shopper; shopper = shoppers[next++]) await act(shopper);
    };
    await Promise.all(Array.from({ length: this.#concurrency }, worker));
  }

  #take(shopper: Shopper, answer: Answer): void {
    if (answer.kind === 'reserved') this.#follow(shopper, answer.id);
    else if (answer.kind === 'soldOut' && answer.held > 0) this.#standby.push(shopper);
    else this.#end(answer.kind === 'soldOut' ? 'soldOut' : `error:${answer.code}`);
  }

  #follow(shopper: Shopper, id: string): void {
    const followed = this.#shop.ending(shopper, id, ENDING_MS, this.#signal).then((ending) => {
      if (ending === 'lost') this.#standby.push(shopper);
      else this.#end(fateOf(ending));
    });
    this.#endings.add(followed);
    void followed.finally(() => this.#endings.delete(followed));
  }

  /** Units in payment may come back: those who were told so try again, until nothing is free and nothing is held. */
  async #secondChances(): Promise<void> {
    const until = Date.now() + ENDING_MS;
    let wasOver = false;
    while (Date.now() < until && (this.#standby.length > 0 || this.#endings.size > 0)) {
      const free = await this.#free();
      // The platform may be away for a moment: who stands by asks again.
      if (free === undefined) {
        await pause(VIEW_AGE_MS);
        continue;
      }
      if (free === 0) {
        // What is free is told up to a moment late: nothing free and nothing in payment, twice, is the end of it.
        const isOver = this.#endings.size === 0;
        if (isOver && wasOver) break;
        wasOver = isOver;
        await pause(VIEW_AGE_MS);
        continue;
      }
      wasOver = false;
      // A few more than there are units, so that buyers of different items do not miss each other.
      await this.#wave(this.#standby.splice(0, Math.max(2 * free, 8)));
    }
    this.#standby.splice(0).forEach(() => this.#end('soldOut'));
  }

  /** Units of all items that are free, as the page tells; undefined where it does not answer. */
  async #free(): Promise<number | undefined> {
    const view = await this.#view().catch(() => undefined);
    return view?.items.reduce((sum, item) => sum + item.remaining, 0);
  }

  #end(fate: Fate): void {
    this.fates.set(fate, this.count(fate) + 1);
  }

  #line(total: number): string {
    const ended = [...this.fates.values()].reduce((sum, n) => sum + n, 0);
    const open = `${this.#endings.size} in payment, ${this.#standby.length} on standby`;
    return `${ended}/${total} have their answer: ${this.count('sold')} sold, ${this.count('refused')} refused, ${open}`;
  }
}

function fateOf(ending: 'paid' | 'refused' | 'expired' | 'refunded' | undefined): Fate {
  if (ending === 'paid') return 'sold';
  if (ending === 'refused') return 'refused';
  return ending === undefined ? 'unsettled' : 'other';
}

function report(options: RushOptions, seed: number, crowd: Crowd, tally: Tally): RushReport {
  const percentile = (times: readonly number[], share: number): number => {
    const sorted = times.toSorted((a, b) => a - b);
    return round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0);
  };
  const errorCodes = Object.fromEntries(
    [...crowd.fates].filter(([fate]) => fate.startsWith('error:')).map(([fate, n]) => [fate.slice(6), n]),
  );
  return {
    sale: options.sale,
    buyers: options.buyers,
    seed,
    sold: crowd.count('sold'),
    refused: crowd.count('refused'),
    soldOut: crowd.count('soldOut'),
    other: crowd.count('other'),
    errors: Object.values(errorCodes).reduce((sum, n) => sum + n, 0),
    unsettled: crowd.count('unsettled'),
    p50Ms: percentile(tally.latencies, 0.5),
    p99Ms: percentile(tally.latencies, 0.99),
    waitP99Ms: percentile(tally.waits, 0.99),
    perSecond: Math.round(options.buyers / Math.max(crowd.waveSeconds, 0.001)),
    retries: tally.retries,
    pushed: tally.pushed,
    polled: tally.polled,
    errorCodes,
  };
}

const round = (ms: number): number => Math.round(ms * 10) / 10;

function shuffled<T>(list: readonly T[], random: () => number): T[] {
  const copy = [...list];
  for (let i = copy.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [copy[i], copy[j]] = [copy[j] as T, copy[i] as T];
  }
  return copy;
}
