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
/** A buyer comes this often, until one has paid. */
const EVERY_MS = 100;
const WITHIN_MS = 60_000;

export async function openPulse(platform: TestPlatform): Promise<void> {
  await platform.apply(PULSE, { stock: STOCK, openForMs: OPEN_MS });
  await platform.until(PULSE, 'Open', (status) => status.phase === 'Open');
}

/** Tokens are made before the fault: making them is not what is measured. */
export async function pulseBuyers(platform: TestPlatform): Promise<Shopper[]> {
  const count = WITHIN_MS / EVERY_MS;
  const from = await takeBuyers(platform.running, count);
  const identity = internalClient(urlOf(platform.running, 'IDENTITY_URL'), WITHIN_MS);
  const tokens = await identity.text('POST', '/internal/test-tokens', { count, from });
  return tokens
    .trim()
    .split('\n')
    .map((token, i) => ({ token, key: `pulse-${from + i}`, sku: 'shoe' }));
}

/**
 * Sends one buyer after the other until one of them has paid; resolves to the seconds from now until then, to undefined
 * where that takes longer than a minute.
 */
export async function recovery(platform: TestPlatform, buyers: readonly Shopper[]): Promise<number | undefined> {
  const began = performance.now();
  const shop = new Shop(platform.edge, PULSE, buyers.length, {
    latencies: [],
    waits: [],
    retries: 0,
    pushed: 0,
    polled: 0,
  });
  const over = new AbortController();
  const paid = Promise.withResolvers<number>();
  const timer = setTimeout(() => over.abort(), WITHIN_MS);
  const buy = async (buyer: Shopper): Promise<void> => {
    const answer = await shop.buy(buyer, over.signal);
    if (answer.kind !== 'reserved') return;
    const ending = await shop.ending(buyer, answer.id, WITHIN_MS, over.signal);
    if (ending === 'paid') paid.resolve((performance.now() - began) / 1000);
  };
  const send = async (): Promise<void> => {
    for (const buyer of buyers) {
      // Given up when another one has paid.
      void buy(buyer).catch(() => undefined);
      await pause(EVERY_MS, undefined, { signal: over.signal }).catch(() => undefined);
      if (over.signal.aborted) return;
    }
  };
  try {
    void send();
    const none = new Promise<undefined>((done) => over.signal.addEventListener('abort', () => done(undefined)));
    return await Promise.race([paid.promise, none]);
  } finally {
    clearTimeout(timer);
    over.abort();
    await shop.close();
  }
}
