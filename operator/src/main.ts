/** The operator's process: wiring only. */
import { withDeadline } from '@flashsale/platform/deadline';
import { createKafka } from '@flashsale/platform/kafka';
import { createLedger } from '@flashsale/platform/ledger-http';
import { connectRedis, createSaleStore, createSignals } from '@flashsale/platform/redis';
import { loop, run } from '@flashsale/platform/run';
import { readConfig } from './config.ts';
import { Demands } from './demands.ts';
import { KnownSales } from './known-sales.ts';
import { resourceFolder } from './resources.ts';
import { createRunner } from './runner.ts';
import { supervisorWorkloads } from './workloads-http.ts';

/** How often the folder is looked over for sales that are due, in ms. */
const TICK_MS = 100;
/** Longest wait for passes under way at the drain, in ms: reading the log of a Kafka that is away takes longer. */
const DRAIN_MS = 10_000;

await run('operator', ({ log, env }) => {
  const config = readConfig(env);
  const redis = connectRedis(config.REDIS_URL, log);
  const signals = createSignals(redis);
  const kafka = createKafka({ brokers: config.KAFKA_BROKERS, clientId: 'operator', log });
  const purchaseLog = kafka.log();
  const resources = resourceFolder(config.RESOURCES_DIR, (path, error) => log.warn({ path, err: error }, 'unreadable'));
  const store = createSaleStore(redis);
  const ledger = createLedger(config.ORDERS_URL);
  const stopping = new AbortController();
  const runner = createRunner({
    resources,
    store,
    signals,
    log: purchaseLog,
    ledger,
    workloads: supervisorWorkloads(config.SUPERVISOR_URL),
    demands: new Demands(),
    known: new KnownSales({ store, ledger }),
    stopping: stopping.signal,
    note: (fields, message) => log.info(fields, message),
  });
  const ticks = loop('reconcile', log, TICK_MS, () => runner.tick());
  let unwatch = (): void => undefined;
  return [
    redis,
    signals,
    purchaseLog,
    {
      name: 'watch',
      start: async () => {
        await resources.list();
        unwatch = resources.watch(() => {
          runner.wake();
          ticks.kick();
        });
      },
      drain: () => {
        unwatch();
        return Promise.resolve();
      },
    },
    // Stopped before the connections it uses: parts are drained in reverse order.
    {
      ...ticks,
      drain: async () => {
        stopping.abort();
        await ticks.drain?.();
        // A pass that is cut off is begun again by the next operator, as after a crash.
        await withDeadline('the passes under way', DRAIN_MS, runner.idle()).catch((error: unknown) => {
          log.warn({ err: error }, 'a pass was cut off');
        });
      },
    },
  ];
});
