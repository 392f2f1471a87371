/** The operator in a Kubernetes cluster: caches of what it reads, and a lease that makes one of several the leader. */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { loadAccess } from '@flashsale/kube/access';
import { createKubeClient } from '@flashsale/kube/api';
import { DEFAULT_TIMING, Elector, type Timing } from '@flashsale/kube/elector';
import { EventRecorder, EVENTS, type EventObject } from '@flashsale/kube/events';
import { LEASES, type Lease } from '@flashsale/kube/lease';
import { Reflector } from '@flashsale/kube/reflector';
import type { Logger } from '@flashsale/platform/log';
import { loop } from '@flashsale/platform/run';
import type { ClockWatch } from '../clock-watch.ts';
import type { ClusterConfig } from '../config.ts';
import type { Place } from '../place.ts';
import { FLASH_SALES, kubeResources, type FlashSaleObject } from './resources.ts';
import { serverTime } from './server-clock.ts';
import { AUTOSCALERS, kubeWorkloads, type Autoscaler } from './workloads.ts';

/** Owner of the fields that the operator writes, and the name of its lease. */
export const NAME = 'flashsale-operator';
const CLOCK_MS = 30_000;

/** Ends the process where the lease is lost: what it has begun may be under way still, and another one leads. */
export async function cluster(config: ClusterConfig, clock: ClockWatch, log: Logger): Promise<Place> {
  const access = await loadAccess();
  const client = createKubeClient({ config: access, fieldManager: NAME });
  const sales = client.resource<FlashSaleObject>(FLASH_SALES);
  const selection = config.WATCH_NAMESPACE === undefined ? {} : { namespace: config.WATCH_NAMESPACE };
  const cache = new Reflector({ name: 'flashsales', source: sales, log, ...selection });
  const autoscalers = new Reflector({
    name: 'horizontalpodautoscalers',
    source: client.resource<Autoscaler>(AUTOSCALERS),
    log,
    ...selection,
  });
  const identity = `${hostname()}_${randomUUID()}`;
  const api = client.resource<EventObject>(EVENTS);
  const events = new EventRecorder({ api, controller: 'flashsale.dev/operator', instance: identity, log });
  const elector = new Elector({
    lease: { namespace: config.LEASE_NAMESPACE, name: NAME },
    identity,
    api: client.resource<Lease>(LEASES),
    log,
    timing: timingOf(config.LEASE_DURATION),
    warm: async () => {
      await Promise.all([cache.synced(), autoscalers.synced()]);
    },
    // The passes ask for themselves whether they may.
    onLeading: () => undefined,
    onRestored: () => {
      for (const each of [cache, autoscalers]) each.restart();
    },
    onLost: (reason) => {
      log.fatal({ reason }, 'the lease is lost');
      process.exit(1);
    },
  });
  return {
    resources: kubeResources({ api: sales, cache, emit: (object, happening) => events.emit(object, happening) }),
    workloads: kubeWorkloads({ resource: (kind) => client.resource(kind), autoscalers: autoscalers.store }),
    leads: () => elector.leads(),
    parts: [
      { name: 'kubernetes', stop: () => client.close() },
      cache,
      autoscalers,
      loop('clock', log, CLOCK_MS, async () => {
        await clock.read('kubernetes', () => serverTime(access));
      }),
      events,
      // It gives the lease back when it is stopped: after every part was drained, so that no pass is under way here.
      elector,
    ],
  };
}

/** The default's proportions, for a lease of so many ms. */
function timingOf(leaseMs: number): Timing {
  const scale = leaseMs / DEFAULT_TIMING.leaseMs;
  return {
    leaseMs,
    renewDeadlineMs: DEFAULT_TIMING.renewDeadlineMs * scale,
    retryMs: DEFAULT_TIMING.retryMs * scale,
  };
}
