/** Two operator processes and one lease, with the real orders, Redis and Kafka: the leader is paused, then killed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { LEASES, type Lease } from '@flashsale/kube/lease';
import type { Cluster } from '../api/cluster.fixture.ts';
import { BOUGHT, buy, end, relay } from '../processes.fixture.ts';
import type { SaleStatus } from '../status.ts';
import { itemOf } from '../world.fixture.ts';
import { NAME } from './cluster.ts';
import { startSurroundings } from './processes.fixture.ts';

const SALE = 'taken-over';
/** The lease of 15 s, the next try of who stands by (2.4 s), and its first pass on a busy machine. */
const TAKEOVER_MS = 25_000;
const UNTIL_MS = 60_000;

async function leaseOf({ client, namespace }: Cluster): Promise<Lease['spec']> {
  return (await client.resource<Lease>(LEASES).get({ namespace, name: NAME })).spec;
}

const soldIn = (status: SaleStatus): number => status.items.reduce((units, item) => units + item.sold, 0);

test('another operator takes over in the time of the lease, and no epoch repeats', { timeout: 300_000 }, async (t) => {
  const cleanup = new AsyncDisposableStack();
  t.after(() => cleanup.disposeAsync());
  const surroundings = await startSurroundings(cleanup, 'takeover');
  const { redis, store, cluster, sales, producer, operate } = surroundings;
  const until = (wanted: (status: SaleStatus) => boolean, ms?: number): Promise<SaleStatus> =>
    surroundings.until(SALE, wanted, ms);
  const published = () => surroundings.published(SALE);

  const first = await operate();
  await first.heard('leading');
  const firstLease = await leaseOf(cluster);
  const second = await operate();
  const opensAt = Date.now() + 1_000;
  await sales.apply(SALE, { opensAt, closesAt: opensAt + 600_000, items: [itemOf(20)] });
  await until(({ phase }) => phase === 'Open');
  assert.deepEqual(new Set(await buy(store, await published())), new Set(['reserved']));
  await relay(store, await published(), producer);
  await until((status) => soldIn(status) === BOUGHT);

  // It stands still in whatever it was doing. Redis is lost meanwhile: the next epoch is the other one's to use.
  first.child.kill('SIGSTOP');
  const pausedAt = Date.now();
  await redis.command('FLUSHALL');
  const rebuilt = await until(({ epoch, gate }) => epoch === 2 && gate.includes('open'), TAKEOVER_MS);
  t.diagnostic(`taken over from a paused leader, and rebuilt, in ${Date.now() - pausedAt} ms`);
  assert.equal(soldIn(rebuilt), BOUGHT);
  await second.heard('leading');
  const exit = new Promise<number | null>((done) => first.child.once('exit', done));
  first.child.kill('SIGCONT');
  assert.equal(await exit, 1, 'it ends as soon as it goes on');
  assert.deepEqual([(await published()).epoch, (await until(() => true)).epoch], [2, 2]);

  const third = await operate();
  await end(second.child, 'SIGKILL');
  const killedAt = Date.now();
  await redis.command('FLUSHALL');
  await until(({ epoch, gate }) => epoch === 3 && gate.includes('open'), TAKEOVER_MS);
  t.diagnostic(`taken over from a killed leader, and rebuilt, in ${Date.now() - killedAt} ms`);
  assert.equal((await leaseOf(cluster))?.leaseTransitions, (firstLease?.leaseTransitions ?? 0) + 2);

  await sales.delete(SALE);
  const deadline = Date.now() + UNTIL_MS;
  while (await sales.get(SALE)) {
    assert.ok(Date.now() < deadline, 'removed in time');
    await pause(50);
  }
  assert.deepEqual(await redis.command('KEYS', `fs:{${SALE}:*`), []);
  assert.equal(await end(third.child, 'SIGTERM'), 0, 'drains and ends cleanly');
  assert.equal((await leaseOf(cluster))?.holderIdentity ?? '', '', 'and gives the lease back');
});
