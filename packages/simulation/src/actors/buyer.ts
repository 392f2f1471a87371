/** A simulated buyer: buys with a key, asks again where no answer came, and looks what became of the purchase. */
import { SaleError, type Buyer, type PurchaseStatus } from '@flashsale/sale';
import type { Found } from '@flashsale/checkout/purchases';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Life } from '../life.ts';
import { tooLate, type Network, type Store } from '../network.ts';
import { tokenOf, type Checkout } from './checkout.ts';

export const CHECKOUT_HTTP: Store = {
  name: 'checkout-http',
  deadlineMs: 2_000,
  unreachable: tooLate('checkout', 2_000),
};

export interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** What one purchase asks for. */
export interface Wish {
  readonly key: string;
  readonly sku: string;
  readonly quantity: number;
}

/** What a buyer was told, and when it was asked; for the invariants. */
export interface Witness {
  answered(buyer: Buyer, wish: Wish, answer: Answer, sentAt: number): void;
  told(buyer: Buyer, id: string, status: PurchaseStatus): void;
}

export interface BuyerPorts {
  readonly life: Life;
  readonly network: Network;
  readonly witness: Witness;
  /** A process that serves now, with its life; undefined: none does. */
  readonly pick: () => { readonly life: Life; readonly checkout: Checkout } | undefined;
}

const MOST_TRIES = 12;
const AGAIN: readonly string[] = [
  'try_again_later',
  'purchase_in_flight',
  'sale_not_open',
  'rate_limited',
  'sale_not_found',
];
/** Looks at a purchase after so many ms each. */
const LOOKS = [150, 600, 2_500];

const pause = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));

export async function buy(ports: BuyerPorts, buyer: Buyer, wish: Wish): Promise<void> {
  const id = await reserve(ports, buyer, wish);
  if (id === undefined) return;
  for (const ms of LOOKS) {
    await pause(ms);
    const found = await look(ports, id);
    if (found) ports.witness.told(buyer, id, found.status);
    if (found && found.status !== 'reserved') return;
  }
}

/** Undefined where nothing was reserved, or no answer came in all tries. */
async function reserve(
  { life, network, witness, pick }: BuyerPorts,
  buyer: Buyer,
  wish: Wish,
): Promise<string | undefined> {
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const sentAt = network.scheduler.now;
    const answer = await post(life, network, pick(), buyer, wish).catch(() => undefined);
    if (answer) witness.answered(buyer, wish, answer, sentAt);
    if (answer?.status === 202) return String(answer.body['id']);
    if (answer && !AGAIN.includes(String(answer.body['code']))) return undefined;
    await pause(60 + life.random.next() * 300);
  }
  return undefined;
}

type Serving = ReturnType<BuyerPorts['pick']>;

function post(life: Life, network: Network, serving: Serving, buyer: Buyer, wish: Wish): Promise<Answer> {
  const effect = (): Promise<Answer> => serve(network, serving, buyer, wish);
  return network.call(life, CHECKOUT_HTTP, 'POST', effect, {
    detail: () => `${serving?.life.name ?? 'nobody'} ${wish.sku} ×${wish.quantity} ${wish.key}`,
  });
}

/** The request within the checkout process. No answer comes where that dies. */
function serve(network: Network, serving: Serving, buyer: Buyer, { key, sku, quantity }: Wish): Promise<Answer> {
  return new Promise((resolve, reject) => {
    if (!serving?.life.alive) {
      reject(new Error('connection refused'));
      return;
    }
    const { life, checkout } = serving;
    network.scheduler.after(0, life, () => {
      const req = new SimulatedRequest(buyer, key, JSON.stringify({ sku, quantity }));
      const res = new SimulatedResponse(resolve);
      if (!checkout.purchase(req as unknown as IncomingMessage, res as unknown as ServerResponse)) {
        reject(new Error('the route did not take the request'));
        return;
      }
      req.send();
    });
  });
}

async function look({ life, network, pick }: BuyerPorts, id: string): Promise<Found | undefined> {
  const serving = pick();
  const effect = (): Promise<Found | undefined> =>
    new Promise((resolve, reject) => {
      if (!serving?.life.alive) reject(new Error('connection refused'));
      else network.scheduler.after(0, serving.life, () => void serving.checkout.find(id).then(resolve, reject));
    });
  try {
    return await network.call(life, CHECKOUT_HTTP, 'GET', effect, { detail: () => id });
  } catch (error) {
    // Not now; whatever else is thrown is a fault of the product.
    if (error instanceof SaleError && error.code !== 'try_again_later') throw error;
    return undefined;
  }
}

/** As much of a request as the hot route reads. */
class SimulatedRequest {
  readonly method = 'POST';
  readonly url = '/api/v1/sales/drop/purchases';
  readonly headers: Readonly<Record<string, string>>;
  readonly #text: string;
  readonly #listeners = new Map<string, (chunk: Buffer) => void>();

  constructor(buyer: Buyer, key: string, text: string) {
    this.#text = text;
    this.headers = {
      authorization: `Bearer ${tokenOf(buyer)}`,
      'idempotency-key': key,
      'content-type': 'application/json',
      'content-length': String(text.length),
      'x-correlation-id': `${buyer.id}.${key}`,
    };
  }

  on(event: string, listener: (chunk: Buffer) => void): this {
    this.#listeners.set(event, listener);
    return this;
  }

  off(event: string): this {
    this.#listeners.delete(event);
    return this;
  }

  send(): void {
    const chunk = Buffer.from(this.#text);
    this.#listeners.get('data')?.(chunk);
    this.#listeners.get('end')?.(chunk);
  }
}

/** As much of a response as the hot route writes. */
class SimulatedResponse {
  headersSent = false;
  shouldKeepAlive = true;
  #status = 0;
  readonly #answer: (answer: Answer) => void;

  constructor(answer: (answer: Answer) => void) {
    this.#answer = answer;
  }

  setHeader(): this {
    return this;
  }

  writeHead(status: number): this {
    this.#status = status;
    this.headersSent = true;
    return this;
  }

  end(text: string | Buffer): void {
    this.#answer({ status: this.#status, body: JSON.parse(String(text)) as Answer['body'] });
  }
}
