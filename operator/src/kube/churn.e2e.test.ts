/**
 * Many sales, applied, edited and deleted at random on a real API server while two operator processes run and their
 * leader is killed every few seconds: each ends as its spec and its clock ask for. `CHURN_SEED` and `CHURN_SALES` repeat
 * a run, or make it smaller.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { createKubeClient } from '@flashsale/kube/client';
import { generator } from '@flashsale/kube/random.fixture';
import { Reflector } from '@flashsale/kube/reflector';
import { createLogger } from '@flashsale/platform/log';
import { canMove, type PublishedSale } from '@flashsale/sale';
import { relay } from '../processes.fixture.ts';
import { newStatus } from '../status.ts';
import { plansOf, RUN_MS } from './churn-plan.fixture.ts';
import { ChurnedSale, type Stage } from './churn-sale.fixture.ts';
import { Operators } from './churn-operators.fixture.ts';
import { problemsOf } from './churn-verdict.fixture.ts';
import { startSurroundings, type Surroundings } from './processes.fixture.ts';
import { FLASH_SALES, type FlashSaleObject } from './resources.ts';

const seed = Number(process.env['CHURN_SEED'] ?? Math.floor(Math.random() * 1_000_000));
const count = Number(process.env['CHURN_SALES'] ?? 200);
/** Longer than the processes stand still on a busy machine, and short enough for many leaders. */
const LEASE_DURATION = '4s';
/** After the last edit: closings, drains and proofs. */
const SETTLE_MS = 80_000;
const POLL_MS = 300;
const log = createLogger('churn', 'silent');

/** Follows every version of every sale: what none of them may ever show, and the uids of those that were Open. */
function watchStory(cache: Reflector<FlashSaleObject>): { wrong: string[]; opened: Set<string | undefined> } {
  const wrong: string[] = [];
  const opened = new Set<string | undefined>();
  cache.subscribe({
    modified: (now, before) => {
      if (now.status?.phase === 'Open') opened.add(now.metadata.uid);
      for (const text of broken(stateOf(before), stateOf(now))) wrong.push(`${now.metadata.name}: ${text}`);
    },
  });
  return { wrong, opened };
}

const stateOf = ({ metadata: { generation = 0 }, status }: FlashSaleObject) => ({
  generation,
  ...newStatus,
  ...status,
});
type State = ReturnType<typeof stateOf>;

function broken(before: State, now: State): string[] {
  const rules: readonly (readonly [holds: boolean, text: string])[] = [
    [now.phase === before.phase || canMove(before.phase, now.phase), `${before.phase} → ${now.phase}`],
    [now.epoch >= before.epoch, `epoch ${before.epoch} → ${now.epoch}`],
    [now.observedGeneration >= before.observedGeneration, 'an older generation was observed'],
    [now.observedGeneration <= now.generation, 'a generation was observed that is not there'],
  ];
  return rules.flatMap(([holds, text]) => (holds ? [] : [text]));
}

/** What buyers see, read again and again; and what checkout's relay does meanwhile for the sales that were bought from. */
async function followBuyers(
  { store, producer }: Surroundings,
  published: Map<string, PublishedSale>,
  sales: readonly ChurnedSale[],
  signal: AbortSignal,
): Promise<void> {
  const known = new Map<string, PublishedSale>();
  while (!signal.aborted) {
    // Late on a busy machine: then what was found last is true.
    const found = await store.published().catch(() => [...published.values()]);
    published.clear();
    for (const sale of found) published.set(sale.name, sale);
    for (const sale of found) known.set(sale.name, sale);
    for (const { name, bought } of sales) {
      const sale = known.get(name);
      // What is purged has no outbox any more.
      if (sale && bought.size > 0) await relay(store, sale, producer).catch(() => undefined);
    }
    await pause(POLL_MS);
  }
}

test(`${count} sales end as their owners asked while leaders are killed`, { timeout: 300_000 }, async (t) => {
  t.diagnostic(`CHURN_SEED=${seed} CHURN_SALES=${count}`);
  const cleanup = new AsyncDisposableStack();
  let quiet = (): Promise<void> => Promise.resolve();
  t.after(async () => {
    // Before anything goes that processes are started with again and again.
    await quiet();
    await cleanup.disposeAsync();
  });
  const surroundings = await startSurroundings(cleanup, 'churn');
  const { store, cluster, redis } = surroundings;
  const { namespace } = cluster;
  const clientOf = (fieldManager: string) => {
    const client = createKubeClient({ config: cluster.config, fieldManager });
    cleanup.defer(() => client.close());
    return client.resource<FlashSaleObject>(FLASH_SALES);
  };
  const owner = clientOf('owner');
  const cache = new Reflector({ name: 'churn', source: owner, namespace, log });
  const { wrong, opened } = watchStory(cache);
  await cache.start();
  cleanup.defer(() => cache.stop());
  const operators = new Operators(() => surroundings.operate({ LEASE_DURATION }), generator(seed));
  operators.start(2);

  const published = new Map<string, PublishedSale>();
  const began = Date.now();
  const stage: Stage = {
    namespace,
    owner,
    other: clientOf('gitops'),
    store,
    published: (name) => published.get(name),
    began,
  };
  const sales = plansOf(seed, count).map((plan) => new ChurnedSale(plan, stage));
  const over = new AbortController();
  const buyers = followBuyers(surroundings, published, sales, over.signal);
  const calm = new AbortController();
  const ending = operators.endLeaders(calm.signal);
  quiet = async () => {
    over.abort();
    calm.abort();
    await operators.stop();
    await Promise.all([buyers, ending]);
  };

  const lives = Promise.all(sales.map((sale) => sale.live()));
  // A failure in a life is heard at once; who waits for a deletion may have to wait for a leader that stays.
  await Promise.race([lives.then(() => pause(Math.max(1, began + RUN_MS - Date.now()))), pause(RUN_MS)]);
  calm.abort();
  await Promise.all([ending, lives]);
  t.diagnostic(
    `${operators.ended} leaders ended, ${operators.drained} of them in order; ${operators.lost} lost their lease`,
  );

  const from = Date.now();
  const problems = async (): Promise<string[]> => {
    const keys = await redis.command<string[]>('KEYS', 'fs:{*');
    const byName = Map.groupBy(keys, (key) => /^fs:\{([^:]*):/.exec(key)?.[1] ?? '');
    return sales.flatMap((sale) => {
      const object = cache.store.get(`${namespace}/${sale.name}`);
      const found = { object, keys: byName.get(sale.name) ?? [], opened: opened.has(object?.metadata.uid) };
      const texts = problemsOf(sale.expected(), found, Date.now());
      return texts.map((text) => `${sale.name} (${sale.plan.kind}): ${text}`);
    });
  };
  let left = await problems();
  while (left.length > 0 && Date.now() < from + SETTLE_MS) {
    await pause(POLL_MS);
    left = await problems();
  }
  assert.deepEqual(left, []);
  t.diagnostic(`all right ${Date.now() - from} ms after the last leader was ended`);
  assert.deepEqual(wrong, []);
  assert.deepEqual(operators.failures, []);
  const sum = (of: (sale: ChurnedSale) => number): number => sales.reduce((total, sale) => total + of(sale), 0);
  const bought = sum((sale) => sale.bought.size);
  const refused = sum(({ refusals }) => refusals.expected);
  t.diagnostic(
    `${bought} bought, ${refused} invalid edits refused, ${sum(({ refusals }) => refusals.notNow)} came too late`,
  );
  const closed = [...cache.store.values()].filter(({ status }) => status?.phase === 'Closed').length;
  t.diagnostic(`${closed} have closed`);
  assert.ok(operators.ended + operators.lost >= 4 && bought > 0 && refused > 0 && closed > count / 10);
});
