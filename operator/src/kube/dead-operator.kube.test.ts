/** A sale opens and closes on time with its operator dead from Armed on, and another operator completes it later. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { purchaseId, type PublishedSale, type SaleStore } from '@flashsale/sale';
import { BOUGHT, buy, end, relay, SKU } from '../processes.fixture.ts';
import { itemOf } from '../world.fixture.ts';
import { startSurroundings, type Surroundings } from './processes.fixture.ts';

const SALE = 'unattended';
/** Long enough to be Armed before it, on a busy machine too. */
const OPENS_IN_MS = 20_000;
const OPEN_MS = 6_000;
/** Purchases are tried one after the other from so long before the opening on. */
const TRIED_MS = 500;

/** One purchase, with what Redis said of the time before it, and of the time at which it was decided where it was reserved. */
interface Attempt {
  readonly code: string;
  /** Unix ms by Redis TIME. */
  readonly before: number;
  readonly decidedAt: number | undefined;
}

async function attempt(store: SaleStore, sale: PublishedSale, n: number): Promise<Attempt> {
  const id = purchaseId(sale.name, 0, String(n).padStart(22, 'x'));
  const request = { id, buyer: { id: `early-${n}`, number: 1_000 + n }, quantity: 1, correlationId: id };
  const before = await store.time();
  const [answer] = await store.reserve(sale, { sale: sale.name, shard: 0, sku: SKU }, [request]);
  // The script adds `holdFor` to the very time with which it has looked at the gate.
  const decidedAt = answer?.hold && answer.hold.expiresAt - sale.holdForMs;
  return { code: answer?.code ?? 'none', before, decidedAt };
}

async function pauseUntil(store: SaleStore, time: number): Promise<void> {
  await pause(Math.max(0, time - (await store.time())));
}

/** Tries to buy, without a pause, until it succeeds. */
async function tryToBuy(store: SaleStore, sale: PublishedSale): Promise<Attempt[]> {
  const attempts: Attempt[] = [];
  const until = sale.opensAt + OPEN_MS;
  for (let n = 0; ; n++) {
    const tried = await attempt(store, sale, n);
    attempts.push(tried);
    if (tried.code === 'reserved') return attempts;
    assert.ok(tried.before < until, `still ${tried.code}`);
  }
}

/** The script decided every attempt as the clock of Redis asks: a gate that is late or early by 1 ms would show. */
function assertExact(attempts: readonly Attempt[], opensAt: number): void {
  const refused = attempts.slice(0, -1);
  const first = attempts.at(-1);
  assert.ok(refused.length > 0 && first?.decidedAt !== undefined);
  assert.deepEqual(new Set(refused.map(({ code }) => code)), new Set(['notOpen']));
  assert.deepEqual(
    refused.filter(({ before }) => before >= opensAt),
    [],
    'none is refused once Redis TIME has come to opensAt',
  );
  assert.ok(first.decidedAt >= opensAt, `sold ${opensAt - first.decidedAt} ms too early`);
}

/** An operator that dies as soon as the sale is Armed. */
async function armAndKill({ operate, sales, until }: Surroundings, opensAt: number): Promise<void> {
  const operator = await operate();
  await operator.heard('leading');
  await sales.apply(SALE, { opensAt, closesAt: opensAt + OPEN_MS, items: [itemOf(20)] });
  await until(SALE, ({ phase }) => phase === 'Armed');
  await end(operator.child, 'SIGKILL');
}

test('a sale opens and closes to the millisecond without an operator', { timeout: 240_000 }, async (t) => {
  const cleanup = new AsyncDisposableStack();
  t.after(() => cleanup.disposeAsync());
  const surroundings = await startSurroundings(cleanup, 'unattended');
  const { store, sales, producer, operate, published, until } = surroundings;
  const opensAt = (await store.time()) + OPENS_IN_MS;
  await armAndKill(surroundings, opensAt);
  const sale = await published(SALE);
  assert.equal(sale.opensAt, opensAt);
  assert.ok((await store.time()) < opensAt - TRIED_MS, 'Armed, and the operator dead, before the opening');

  await pauseUntil(store, opensAt - TRIED_MS);
  const attempts = await tryToBuy(store, sale);
  assertExact(attempts, opensAt);
  const [last, first] = attempts.slice(-2);
  t.diagnostic(
    `${attempts.length - 1} refused, the last asked for ${opensAt - (last?.before ?? 0)} ms before opensAt; ` +
      `the first sold ${(first?.decidedAt ?? 0) - opensAt} ms after it`,
  );
  assert.deepEqual(new Set(await buy(store, sale)), new Set(['reserved']));
  await relay(store, sale, producer);
  await pauseUntil(store, sale.closesAt);
  assert.equal((await attempt(store, sale, attempts.length)).code, 'closed');
  assert.equal((await sales.get(SALE))?.status?.phase, 'Armed', 'nobody has looked after it');

  const second = await operate();
  const { phase, proof } = await until(SALE, (status) => status.proof !== undefined);
  assert.deepEqual([phase, proof?.problems, proof?.holds, proof?.sold], ['Closed', [], true, BOUGHT + 1]);
  assert.equal(await end(second.child, 'SIGTERM'), 0);
});
