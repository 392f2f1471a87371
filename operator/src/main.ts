/** The operator's process: wiring only. */
import { systemClock } from '@flashsale/kube/clock';
import { withDeadline } from '@flashsale/platform/deadline';
import { createKafka } from '@flashsale/platform/kafka';
import { createHotPages } from '@flashsale/platform/hot-pages-http';
import { createLedger } from '@flashsale/platform/ledger-http';
import type { Logger } from '@flashsale/platform/log';
import { connectRedis, createPageCache, createSaleStore, createSignals } from '@flashsale/platform/redis';
import { loop, run } from '@flashsale/platform/run';
import { ExpirySpread } from '@flashsale/sale';
import { ClockWatch } from './clock-watch.ts';
import { readConfig } from './config.ts';
import { Demands } from './demands.ts';
import { fenced } from './fence.ts';
import { KnownSales } from './known-sales.ts';
import type { Place } from './place.ts';
import { resourceFolder } from './resources.ts';
import { createRunner } from './runner.ts';
import { supervisorWorkloads } from './workloads-http.ts';

/** How often it is looked whether Redis still has what is published, in ms. */
const LOOK_MS = 500;
/** Longest wait for passes under way at the drain, in ms: reading the log of a Kafka that is away takes longer. */
const DRAIN_MS = 10_000;

type Config = ReturnType<typeof readConfig>;

async function placeOf({ machine, cluster }: Config, clock: ClockWatch, log: Logger): Promise<Place> {
  if (!machine) {
    // The Kubernetes client takes its time and memory to load: one machine does without.
    const kube = await import('./kube/cluster.ts');
    return kube.cluster(cluster, clock, log);
  }
  return {
    resources: resourceFolder(machine.RESOURCES_DIR, (path, error) => log.warn({ path, err: error }, 'unreadable')),
    workloads: supervisorWorkloads(machine.SUPERVISOR_URL),
    leads: () => true,
    parts: [],
  };
}

await run('operator', async ({ log, env }) => {
  const config = readConfig(env);
  const clock = new ClockWatch();
  const { resources, workloads, leads, parts } = await placeOf(config, clock, log);
  const redis = connectRedis(config.REDIS_URL, log);
  const signals = createSignals(redis);
  const kafka = createKafka({ brokers: config.KAFKA_BROKERS, clientId: 'operator', log });
  const purchaseLog = kafka.log();
  const store = fenced(createSaleStore(redis), leads);
  const ledger = fenced(createLedger(config.ORDERS_URL), leads);
  const stopping = new AbortController();
  const runner = createRunner({
    resources: fenced(resources, leads),
    store,
    signals: fenced(signals, leads),
    log: purchaseLog,
    ledger,
    workloads: fenced(workloads, leads),
    pages: fenced(createHotPages(config.CATALOG_URL, createPageCache(redis)), leads),
    expiries: new ExpirySpread(),
    demands: new Demands(),
    known: new KnownSales({ store, ledger }),
    clock,
    timers: systemClock,
    stopping: stopping.signal,
    note: (fields, message) => log.info(fields, message),
  });
  const looks = loop('registry', log, LOOK_MS, async () => {
    if (leads()) await runner.look();
  });
  let unwatch = (): void => undefined;
  return [
    redis,
    signals,
    purchaseLog,
    ...parts,
    {
      name: 'watch',
      start: async () => {
        await resources.list();
        unwatch = resources.watch((changed) => runner.wake(changed));
      },
      drain: () => {
        unwatch();
        return Promise.resolve();
      },
    },
    // Stopped before the connections it uses: parts are drained in reverse order.
    {
      name: 'reconcile',
      start: () => runner.start(),
      drain: async () => {
        stopping.abort();
        // A pass that is cut off is begun again by the next operator, as after a crash.
        await withDeadline('the passes under way', DRAIN_MS, runner.drain()).catch((error: unknown) => {
          log.warn({ err: error }, 'a pass was cut off');
        });
      },
    },
    looks,
  ];
});
