/** An operator's ways to the simulated API server: FlashSales through a cache that lags behind, and the lease. */
import type { LeaseApi } from '@flashsale/kube/lease';
import type { ResourceApi } from '@flashsale/kube/ports';
import { Store as ObjectStore } from '@flashsale/kube/store';
import { kubeResources, type FlashSaleObject } from '@flashsale/operator/kube/resources';
import type { SaleResources } from '@flashsale/operator/resources';
import type { Life } from '../life.ts';
import { tooLate, type Network, type Store } from '../network.ts';
import type { ApiServer } from './api-server.ts';

const KUBE: Store = { name: 'kube', deadlineMs: 5_000, unreachable: tooLate('kube', 5_000) };

export function simulatedLeases(life: Life, network: Network, server: ApiServer): LeaseApi {
  const call = <T>(what: string, effect: () => T): Promise<T> => network.call(life, KUBE, what, effect);
  return {
    get: () => call('get lease', () => server.getLease()),
    create: (lease) => call('create lease', () => server.createLease(lease)),
    replace: (lease) => call('replace lease', () => server.replaceLease(lease)),
  };
}

/** What `kubeResources` asks of the API; the rest of it is not there. */
type Used = Pick<ResourceApi<FlashSaleObject>, 'get' | 'apply' | 'jsonPatch'>;

export function simulatedResources(life: Life, network: Network, server: ApiServer): SaleResources {
  const call = <T>(what: string, effect: () => T): Promise<T> => network.call(life, KUBE, what, effect);
  const api: Used = {
    get: ({ name }) => call('get sale', () => server.sale(name)),
    apply: ({ metadata, status }) =>
      call('write status', () => server.applyStatus(metadata.name, versionIn(metadata), status)),
    jsonPatch: ({ name }, patch) =>
      call('write finalizers', () => {
        const value = (path: string): unknown =>
          patch.flatMap((one) => ('value' in one && one.path === path ? [one.value] : []))[0];
        return server.setFinalizers(
          name,
          value('/metadata/resourceVersion'),
          value('/metadata/finalizers') as string[],
        );
      }),
  };
  const store = cacheOf(life, network, server);
  return kubeResources({
    api: api as ResourceApi<FlashSaleObject>,
    cache: { store, subscribe: (handlers) => store.subscribe(handlers), restart: () => undefined },
    emit: () => undefined,
  });
}

const versionIn = (metadata: object): string | undefined => (metadata as { resourceVersion?: string }).resourceVersion;

/** Follows the server in order, each change a while after it happened; what a cut hides is caught up with after it. */
function cacheOf(life: Life, network: Network, server: ApiServer): ObjectStore<FlashSaleObject> {
  const store = new ObjectStore<FlashSaleObject>((error) => {
    throw error;
  });
  let arrivedAt = 0;
  const arrive = (object: FlashSaleObject, gone: boolean): void => {
    const { scheduler, hooks } = network;
    arrivedAt = Math.max(arrivedAt, scheduler.now + network.latency(life));
    scheduler.after(arrivedAt - scheduler.now, life, () => {
      if (hooks.isCut(life.name, 'kube')) scheduler.after(500, life, () => arrive(object, gone));
      else if (gone) store.remove(object);
      else store.put(object);
    });
  };
  const unwatch = server.watch(arrive);
  life.onDeath.push(unwatch);
  for (const object of server.sales()) arrive(object, false);
  return store;
}
