/** The surroundings of real operator processes: Kafka, Redis, orders and payments, and a namespace of an API server. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { freePort, startKafka, startRedis, testDatabase, testFolder, testKube } from '@flashsale/local/testing';
import type { EventProducer } from '@flashsale/platform/kafka';
import { createLogger } from '@flashsale/platform/log';
import { connectRedis, createSaleStore, type RedisConnection } from '@flashsale/platform/redis';
import type { PublishedSale, SaleStore } from '@flashsale/sale';
import { installRightsIn, kubeconfigOf, openCluster, type Cluster } from '../api/cluster.fixture.ts';
import { payments, start, startCatalog, type Confinement, type Service } from '../processes.fixture.ts';
import type { SaleStatus } from '../status.ts';
import type { FlashSaleObject } from './resources.ts';
import { Sales } from './world.fixture.ts';

const log = createLogger('test', 'silent');
const UNTIL_MS = 60_000;

export interface Surroundings {
  readonly redis: RedisConnection;
  readonly store: SaleStore;
  readonly cluster: Cluster;
  readonly sales: Sales;
  /** Of the relay. */
  readonly producer: EventProducer;
  /** Path of the operator's own: it has the rights of config/rbac and no others. */
  readonly kubeconfig: string;
  /** Starts an operator with that kubeconfig, from its sources where not told. Its lease is in the namespace of the cluster. */
  readonly operate: (env?: Record<string, string>, main?: string, confinement?: Confinement) => Promise<Service>;
  /** The sale as buyers know it. */
  readonly published: (name: string) => Promise<PublishedSale>;
  /** Waits until the sale is as wanted. Throws where it is not in time. */
  readonly until: (
    name: string,
    wanted: (status: SaleStatus, sale: FlashSaleObject) => boolean,
    ms?: number,
  ) => Promise<SaleStatus>;
}

/** `name` is that of a folder; all goes with `cleanup`. */
export async function startSurroundings(cleanup: AsyncDisposableStack, name: string): Promise<Surroundings> {
  const folderOf = (server: string): string => join(testFolder(), `${name}-${server}`);
  const [kafka, redisServer, kubeconfig] = await Promise.all([
    startKafka({ dataDir: folderOf('kafka'), port: await freePort(), durable: false }),
    startRedis({ dataDir: folderOf('redis'), port: await freePort(), durable: false }),
    testKube(),
  ]);
  cleanup.defer(() => kafka.stop());
  cleanup.defer(() => redisServer.stop());
  const redis = connectRedis(redisServer.url, log);
  await redis.start();
  cleanup.defer(() => redis.stop());
  const store = createSaleStore(redis);
  const cluster = await openCluster(kubeconfig);
  const sales = new Sales(cluster.client, cluster.namespace);
  cleanup.defer(async () => {
    await sales.clear();
    await cluster.close();
  });
  const CATALOG_URL = await startCatalog(cleanup, redisServer.url);
  const servers = { KAFKA_BROKERS: kafka.url, REDIS_URL: redisServer.url };
  const shared = { ...servers, OIDC_ISSUER: 'http://127.0.0.1:9', CATALOG_URL };
  const producer = await payments(cleanup, kafka.url);
  const DATABASE_URL = await testDatabase();
  const orders = await start(cleanup, '../../services/orders/src/main.ts', { ...shared, DATABASE_URL });
  const KUBECONFIG = join(folderOf('redis'), 'kubeconfig');
  await installRightsIn(cluster.client, cluster.namespace);
  const rights = await kubeconfigOf(cluster.client, cluster.config, cluster.namespace);
  await writeFile(KUBECONFIG, rights, { mode: 0o600 });
  const place = { KUBECONFIG, WATCH_NAMESPACE: cluster.namespace, LEASE_NAMESPACE: cluster.namespace };
  return {
    redis,
    store,
    cluster,
    sales,
    producer,
    kubeconfig: KUBECONFIG,
    operate: (env = {}, main = 'main.ts', confinement?) => {
      const urls = { ORDERS_URL: orders.url, RESOURCES_DIR: '', SUPERVISOR_URL: '' };
      return start(cleanup, main, { ...shared, ...urls, ...place, ...env }, confinement);
    },
    published: async (sale) => {
      const found = (await store.published()).find((one) => one.name === sale);
      assert.ok(found, `${sale} is published`);
      return found;
    },
    until: async (sale, wanted, ms = UNTIL_MS) => {
      const deadline = Date.now() + ms;
      for (;;) {
        const found = await sales.get(sale);
        const status = found?.status as SaleStatus | undefined;
        if (found && status && wanted(status, found)) return status;
        assert.ok(Date.now() < deadline, `${String(wanted)}: ${JSON.stringify(status)}`);
        await pause(50);
      }
    },
  };
}
