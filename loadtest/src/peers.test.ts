/** The crowd, the match and its table, against shops in this process. */
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import type { Adapter, Round } from '../peers/adapter.ts';
import { sendCrowd, shuffled } from './peers-crowd.ts';
import { play } from './peers-match.ts';
import { asTable, summarize, type RoundResult } from './peers-result.ts';

type Answer = (token: string) => number | Promise<number>;

/** A shop that answers each token with a status; those it never answers get none. */
async function shopOf(t: TestContext, answer: Answer): Promise<{ origin: string; seen: string[] }> {
  const seen: string[] = [];
  const server: Server = createServer((req, res) => {
    const token = req.headers.authorization ?? '';
    seen.push(token);
    void Promise.resolve(answer(token)).then((status) => {
      if (status === 0) req.socket.destroy();
      else res.writeHead(status).end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

const adapterOf = (name: string, prepared: Round[] = []): Adapter => ({
  name,
  prepare: (_shop, round) => Promise.resolve(void prepared.push(round)),
  tokens: (_shop, { buyers }) => Promise.resolve(Array.from({ length: buyers }, (_, i) => `t${i}`)),
  buy: (_round, token) => ({ method: 'POST', path: '/buy', headers: { authorization: token } }),
  outcome: (status) =>
    status === 200 ? 'bought' : status === 409 ? 'turnedAway' : status === 503 ? 'again' : 'failed',
});

const ROUND: Round = { name: 'r', stock: 5, buyers: 20 };
const TOKENS = Array.from({ length: 20 }, (_, i) => `t${i}`);
const OPTIONS = { concurrency: 4, budgetMs: 20_000, seed: 1 };

test('every buyer is counted once, by what the shop told him', async (t) => {
  const shop = await shopOf(t, (token) => ({ t0: 200, t1: 500, t2: 0 })[token] ?? 409);
  const { bought, turnedAway, failed, unanswered, latencies } = await sendCrowd(
    adapterOf('x'),
    shop,
    ROUND,
    TOKENS,
    OPTIONS,
  );
  assert.deepEqual({ bought, turnedAway, failed, unanswered }, { bought: 1, turnedAway: 17, failed: 2, unanswered: 0 });
  assert.equal(latencies.count, 19, 'a broken connection has no latency');
  assert.deepEqual(shop.seen.toSorted(), TOKENS.toSorted());
});

test('who is told to come again does, with the same request', async (t) => {
  let tries = 0;
  const shop = await shopOf(t, (token) => (token === 't3' && tries++ < 2 ? 503 : 200));
  const { bought } = await sendCrowd(adapterOf('x'), shop, ROUND, TOKENS, OPTIONS);
  assert.equal(bought, 20);
  assert.equal(shop.seen.filter((token) => token === 't3').length, 3);
});

test('who has no answer at the end of the budget is unanswered', async (t) => {
  const shop = await shopOf(t, (token) => (token === 't7' ? new Promise<number>(() => undefined) : 409));
  const options = { ...OPTIONS, budgetMs: 500 };
  const { turnedAway, failed, unanswered } = await sendCrowd(adapterOf('x'), shop, ROUND, TOKENS, options);
  assert.deepEqual({ turnedAway, failed, unanswered }, { turnedAway: 19, failed: 0, unanswered: 1 });
});

test('no more purchases are under way than asked for', async (t) => {
  let [now, most] = [0, 0];
  const shop = await shopOf(t, async () => {
    most = Math.max(most, ++now);
    await new Promise((done) => setTimeout(done, 5));
    now--;
    return 409;
  });
  await sendCrowd(adapterOf('x'), shop, ROUND, TOKENS, OPTIONS);
  assert.equal(most, 4);
});

test('one order for one seed', () => {
  assert.deepEqual(shuffled(TOKENS, 5), shuffled(TOKENS, 5));
  assert.notDeepEqual(shuffled(TOKENS, 5), shuffled(TOKENS, 6));
  assert.deepEqual(shuffled(TOKENS, 5).toSorted(), TOKENS.toSorted());
});

test('the shops play by turns the same rounds with the same crowds; the first round is not measured', async (t) => {
  const turns: string[] = [];
  const contestant = async (name: string) => {
    const prepared: Round[] = [];
    const shop = await shopOf(t, () => {
      if (turns.at(-1) !== name) turns.push(name);
      return 200;
    });
    let cpu = 0;
    return { adapter: adapterOf(name, prepared), shop, cpuMs: () => (cpu += 500), prepared };
  };
  const [a, b] = [await contestant('a'), await contestant('b')];
  const options = { buyers: 6, stock: 4, concurrency: 1, budgetMs: 5_000, rounds: 3, seed: 9, id: 'x' };
  const results = await play([a, b], options, AbortSignal.timeout(20_000));
  assert.deepEqual(turns, ['a', 'b', 'a', 'b', 'a'], 'who begins changes');
  assert.deepEqual(a.prepared, b.prepared);
  assert.equal(new Set(a.prepared.map(({ name }) => name)).size, 4);
  assert.deepEqual(a.shop.seen, b.shop.seen, 'the same order of buyers');
  assert.notDeepEqual(a.shop.seen.slice(0, 6), a.shop.seen.slice(6, 12), 'another one each round');
  const [first] = results;
  assert.deepEqual([first?.rounds, first?.bought, first?.oversold], [3, 18, 6]);
  assert.equal(first?.purchasesPerCpuSecond, 8, 'what was oversold is no purchase');
});

const round = (change: Partial<RoundResult>): RoundResult => ({
  stock: 10,
  buyers: 20,
  bought: 10,
  turnedAway: 10,
  failed: 0,
  unanswered: 0,
  sold: 10,
  cpuMs: 100,
  p50Ms: 1,
  p99Ms: 2,
  seconds: 1,
  ...change,
});

test('oversold is what was promised or recorded beyond the stock, in any round; lost is promised and not recorded', () => {
  const { oversold, lost } = summarize('x', [
    round({ bought: 12, sold: 9 }),
    round({ sold: 13 }),
    round({ bought: 4, sold: 4 }),
  ]);
  assert.deepEqual({ oversold, lost }, { oversold: 5, lost: 3 });
  assert.equal(summarize('x', [round({ sold: undefined })]).lost, undefined);
});

test('the table says what is not known by a dash', () => {
  const text = asTable([summarize('a shop', [round({ sold: undefined, cpuMs: 5 })])]);
  assert.match(text, /^ +bought +bought\/CPU s/);
  assert.match(text, /a shop +10 +– +– +1\.0 +2\.0 +0 +– +0 +0$/);
});
