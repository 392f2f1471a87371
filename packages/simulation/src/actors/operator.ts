/** The operator as a simulated process: the production runner and lease, wired as in its own main.ts and kube/cluster.ts. */
import { systemClock, type Clock } from '@flashsale/kube/clock';
import { Elector } from '@flashsale/kube/elector';
import { ClockWatch } from '@flashsale/operator/clock-watch';
import { Demands } from '@flashsale/operator/demands';
import { fenced } from '@flashsale/operator/fence';
import { KnownSales } from '@flashsale/operator/known-sales';
import { createRunner } from '@flashsale/operator/runner';
import { loop } from '@flashsale/platform/run';
import { ExpirySpread, type HotPages } from '@flashsale/sale';
import type { ProcessPorts } from './ports.ts';

/** As in operator/src/main.ts. */
const LOOK_MS = 500;
/** Shorter than in a cluster, so that a leader is followed within a simulated sale. */
const TIMING = { leaseMs: 2_000, renewDeadlineMs: 1_300, retryMs: 300 };

export function startOperator(ports: ProcessPorts): void {
  const { life, log, exit } = ports;
  const clock = new ClockWatch();
  const date = (): Date => new Date(Date.now());
  const timers: Clock = { ...systemClock, date };
  const elector = new Elector({
    lease: { namespace: 'flashsale-system', name: 'flashsale-operator' },
    identity: `${life.name}-${life.number}`,
    api: ports.leases(),
    log,
    onLeading: () => undefined,
    onLost: (reason) => exit(reason),
    timing: TIMING,
    clock: timers,
  });
  const leads = (): boolean => elector.leads();
  const store = fenced(ports.store, leads);
  const ledger = fenced(ports.ledger, leads);
  const resources = ports.resources();
  const stopping = new AbortController();
  const runner = createRunner({
    resources: fenced(resources, leads),
    store,
    signals: fenced(ports.signals, leads),
    log: ports.kafka.log(),
    ledger,
    workloads: fenced(ports.workloads, leads),
    pages: fenced(keptPages(), leads),
    expiries: new ExpirySpread(),
    demands: new Demands(),
    known: new KnownSales({ store, ledger }),
    clock,
    timers,
    stopping: stopping.signal,
    note: (fields, message) => log.info(fields, message),
  });
  // So that nothing of it is kept in the metrics of this process.
  life.onDeath.push(() => void runner.drain());
  const looks = loop('registry', log, LOOK_MS, async () => {
    if (leads()) await runner.look();
  });
  resources.watch((changed) => runner.wake(changed));
  void ports.start([
    { name: 'elector', start: () => elector.start() },
    { name: 'reconcile', start: () => runner.start() },
    looks,
  ]);
}

/** The catalog is not simulated: pages are there for as long as they were asked for, and never longer than this process. */
function keptPages(): HotPages {
  const expiries = new Map<string, number>();
  return {
    preload: (_sale, pages) => {
      for (const { name, ttlMs } of pages) expiries.set(name, Date.now() + ttlMs);
      return Promise.resolve();
    },
    readBack: (names) => {
      const left = names.map((name) => (expiries.get(name) ?? 0) - Date.now());
      return Promise.resolve(left.map((ms) => (ms > 0 ? ms : undefined)));
    },
  };
}
