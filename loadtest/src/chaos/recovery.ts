/** How long after a fault the first buyer who comes has his purchase paid. */
import { setTimeout as pause } from 'node:timers/promises';
import { takeBuyers, urlOf } from '@flashsale/local/commands/crowd';
import type { TestPlatform } from '@flashsale/local/e2e/test-platform';
import { Shop, type Shopper } from '@flashsale/local/rush/buyer';
import { internalClient } from '@flashsale/platform/http';

/** A sale that never sells out: whoever comes can buy. */
export const PULSE = 'pulse';
const STOCK = 100_000;
const OPEN_MS = 12 * 3_600_000;
/** A buyer comes this often, while the fault lasts and until one has paid after it. */
const EVERY_MS = 200;
const BUYERS = 600;
const WITHIN_MS = 60_000;

export async function openPulse(platform: TestPlatform): Promise<void> {
  await platform.apply(PULSE, { stock: STOCK, openForMs: OPEN_MS });
  await platform.until(PULSE, 'Open', (status) => status.phase === 'Open');
}

/** Buyers who come one by one, whatever happens. */
export class Pulse {
  readonly #shop: Shop;
  readonly #buyers: readonly Shopper[];
  readonly #over = new AbortController();
  readonly #paid = Promise.withResolvers<number>();
  /** By `performance.now`; buyers who came before do not count. */
  #clearedAt = Infinity;

  private constructor(edge: string, buyers: readonly Shopper[]) {
    this.#buyers = buyers;
    const tally = { latencies: [], waits: [], retries: 0, pushed: 0, polled: 0 };
    this.#shop = new Shop(edge, PULSE, buyers.length, tally);
  }

  /** Makes their tokens: to be done before the fault. */
  static async of(platform: TestPlatform): Promise<Pulse> {
    const from = await takeBuyers(platform.running, BUYERS);
    const identity = internalClient(urlOf(platform.running, 'IDENTITY_URL'), WITHIN_MS);
    const tokens = await identity.text('POST', '/internal/test-tokens', { count: BUYERS, from });
    const buyers = tokens
      .trim()
      .split('\n')
      .map((token, i) => ({ token, key: `pulse-${from + i}`, sku: 'shoe' }));
    return new Pulse(platform.edge, buyers);
  }

  begin(): void {
    void this.#send();
  }

  /**
   * The fault is cleared now. Resolves to the seconds until a buyer who came after that has paid; to undefined where
   * that takes longer than a minute.
   */
  async recovered(): Promise<number | undefined> {
    this.#clearedAt = performance.now();
    const late = Promise.withResolvers<undefined>();
    const timer = setTimeout(() => late.resolve(undefined), WITHIN_MS);
    try {
      return await Promise.race([this.#paid.promise, late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Nobody else comes; who waits for the ending of his purchase does so no more. */
  async end(): Promise<void> {
    this.#over.abort();
    await this.#shop.close();
  }

  async #send(): Promise<void> {
    for (const buyer of this.#buyers) {
      if (this.#over.signal.aborted) return;
      // Given up when the pulse ends; his purchase is settled all the same, and the proof of the sale has it.
      void this.#buy(buyer).catch(() => undefined);
      await pause(EVERY_MS, undefined, { signal: this.#over.signal }).catch(() => undefined);
    }
  }

  async #buy(buyer: Shopper): Promise<void> {
    const came = performance.now();
    const answer = await this.#shop.buy(buyer, this.#over.signal);
    if (answer.kind !== 'reserved') return;
    const ending = await this.#shop.ending(buyer, answer.id, WITHIN_MS, this.#over.signal);
    if (ending === 'paid' && came >= this.#clearedAt) this.#paid.resolve((performance.now() - this.#clearedAt) / 1000);
  }
}
