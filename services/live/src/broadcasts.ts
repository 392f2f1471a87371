/** Stock and phase of the sales: at most ten messages a second a sale, and the last known for who comes later. */
import type { BroadcastMessage } from '@flashsale/sale';
import { sharedBody, type SharedBody } from './frame.ts';

/** Shortest time between two stock messages of one sale, in ms. */
const STOCK_EVERY_MS = 100;
/** Sales whose last state is remembered; the longest unheard one makes room. */
const MAX_SALES = 256;

interface SaleState {
  stock?: SharedBody;
  phase?: SharedBody;
  sentAt: number;
  timer?: NodeJS.Timeout;
}

export class Broadcasts {
  readonly #sales = new Map<string, SaleState>();
  readonly #send: (body: SharedBody) => void;

  /** `send` brings a message to every connection. */
  constructor(send: (body: SharedBody) => void) {
    this.#send = send;
  }

  /** Takes what came over Pub/Sub. A phase goes out at once; it changes a handful of times in a sale. */
  take(message: BroadcastMessage): void {
    if (message.type === 'phase') {
      const state = this.#state(message.sale);
      state.phase = sharedBody(message);
      this.#send(state.phase);
    } else if (message.type === 'stock') {
      const state = this.#state(message.sale);
      state.stock = sharedBody(message);
      this.#sendStockSoon(state);
    }
  }

  /** The last known messages of every sale, for a new connection. */
  snapshot(): SharedBody[] {
    return [...this.#sales.values()].flatMap(({ phase, stock }) => [phase, stock].filter((body) => body !== undefined));
  }

  stop(): void {
    for (const { timer } of this.#sales.values()) clearTimeout(timer);
  }

  #state(sale: string): SaleState {
    const state = this.#sales.get(sale) ?? { sentAt: 0 };
    this.#sales.delete(sale);
    this.#sales.set(sale, state);
    if (this.#sales.size > MAX_SALES) {
      const [oldest, old] = this.#sales.entries().next().value as [string, SaleState];
      clearTimeout(old.timer);
      this.#sales.delete(oldest);
    }
    return state;
  }

  #sendStockSoon(state: SaleState): void {
    if (state.timer) return; // The newest stock goes out when it fires.
    const wait = state.sentAt + STOCK_EVERY_MS - Date.now();
    if (wait <= 0) this.#sendStock(state);
    else state.timer = setTimeout(() => this.#sendStock(state), wait);
  }

  #sendStock(state: SaleState): void {
    delete state.timer;
    state.sentAt = Date.now();
    if (state.stock) this.#send(state.stock);
  }
}
