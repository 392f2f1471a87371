/** Many sales at once on an API server that is killed and started again, twice: every one ends as its owner asked. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { freePort, startKube, startRedis, testFolder } from '@flashsale/local/testing';
import { systemClock } from '@flashsale/kube/clock';
import { openCluster } from '../api/cluster.fixture.ts';
import { itemOf, World } from '../world.fixture.ts';
import type { FlashSaleObject } from './resources.ts';
import { Sales, startOperator } from './world.fixture.ts';

const SALES = 25;
const BOUGHT = 2;
const OPEN_AFTER_MS = 5_000;
const OPEN_MS = 12_000;
const DEADLINE_MS = 90_000;
const NAP_MS = 50;

function assertEnded({ metadata, status }: FlashSaleObject, stock: number): void {
  const { proof, epoch, observedGeneration } = status ?? {};
  const found = [proof?.problems, proof?.sold, proof?.stock, epoch, observedGeneration];
  assert.deepEqual(found, [[], BOUGHT, stock, 1, metadata.generation], metadata.name);
}

test('25 sales end as their owners asked while the API server dies twice', { timeout: 180_000 }, async (t) => {
  const cleanup = new AsyncDisposableStack();
  t.after(() => cleanup.disposeAsync());
  const folder = (name: string): string => join(testFolder(), `many-${name}`);
  // Durable: what was acknowledged must be there after the kill.
  const own = { dataDir: folder('kube'), port: await freePort() };
  let kube = await startKube(own);
  cleanup.defer(() => kube.stop());
  const redis = await startRedis({ dataDir: folder('redis'), port: await freePort(), durable: false });
  cleanup.defer(() => redis.stop());
  const world = await World.start(redis.url);
  cleanup.defer(() => world.stop());
  const cluster = await openCluster(kube.kubeconfig);
  const sales = new Sales(cluster.client, cluster.namespace);
  const operator = await startOperator(world, cluster.config, cluster.namespace, (deps) => ({
    ...deps,
    timers: systemClock,
  }));
  cleanup.defer(() => operator.stop());
  await operator.run();

  const names = Array.from({ length: SALES }, (_, n) => `many-${n}`);
  const doomed = names.filter((_, n) => n % 5 === 0);
  const raised = names.filter((_, n) => n % 5 === 1);
  const opensAt = Date.now() + OPEN_AFTER_MS;
  await Promise.all(names.map((name) => sales.apply(name, { opensAt, closesAt: opensAt + OPEN_MS })));
  const restart = async (): Promise<void> => {
    await kube.kill();
    await kube.stop();
    kube = await startKube(own);
  };
  /** Asks until the server answers. */
  const asked = async <T>(ask: () => Promise<T>): Promise<T> => {
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        if (Date.now() > opensAt + DEADLINE_MS) throw error;
        await pause(NAP_MS);
      }
    }
  };
  const until = async (what: string, so: () => Promise<boolean>): Promise<void> => {
    while (!(await so())) {
      assert.ok(Date.now() < opensAt + DEADLINE_MS, `${what}: ${JSON.stringify(await phases())}`);
      await Promise.all(names.map((name) => world.relay(name)));
      await world.consume();
      await pause(NAP_MS);
    }
  };
  const phases = () =>
    asked(async () => (await sales.all()).map(({ metadata, status }) => `${metadata.name} ${status?.phase ?? 'new'}`));

  await until('Armed', async () => (await phases()).every((phase) => /Armed|Open/.test(phase)));
  // It is away at the opening: the gate opens all the same.
  const down = restart();
  await pause(Math.max(0, opensAt - Date.now() + 20));
  for (const name of names) assert.deepEqual(await world.buy(name, BOUGHT), ['reserved', 'reserved'], name);
  await down;
  for (const name of doomed) await asked(() => sales.delete(name));
  for (const name of raised) await asked(() => sales.patch(name, { items: [itemOf(12)] }));
  await restart();

  await until('ended', async () => {
    const left = await asked(() => sales.all());
    return left.length === names.length - doomed.length && left.every(({ status }) => status?.proof !== undefined);
  });
  for (const sale of await sales.all()) assertEnded(sale, raised.includes(sale.metadata.name) ? 12 : 10);
  for (const name of doomed) assert.deepEqual(await world.redis.command('KEYS', `fs:{${name}:*`), []);
});
