/** Operators and sales on a real API server: FlashSales in a namespace of their own, pods that become Ready by hand. */
import { setTimeout as pause } from 'node:timers/promises';
import { createKubeClient, type KubeClient, type KubeConfig } from '@flashsale/kube/client';
import { EventRecorder, EVENTS, type EventObject } from '@flashsale/kube/events';
import type { KubeObject, Resource } from '@flashsale/kube/object';
import type { ResourceApi } from '@flashsale/kube/ports';
import { Reflector, type ReflectorOptions } from '@flashsale/kube/reflector';
import { createLogger } from '@flashsale/platform/log';
import { loop } from '@flashsale/platform/run';
import type { Cluster } from '../api/cluster.fixture.ts';
import type { SaleResources } from '../resources.ts';
import type { OperatorDeps } from '../scope.ts';
import type { SaleStatus } from '../status.ts';
import { documentOf, type Operator, type SpecChange, type World } from '../world.fixture.ts';
import { NAME } from './cluster.ts';
import { FLASH_SALES, kubeResources, type FlashSaleObject } from './resources.ts';
import { AUTOSCALERS, DEPLOYMENTS, kubeWorkloads, type Autoscaler } from './workloads.ts';

const UNTIL_MS = 30_000;
const NAP_MS = 20;
const LOOK_MS = 500;
const log = createLogger('operator-test', 'silent');
const PODS: Resource = { group: '', version: 'v1', plural: 'pods', kind: 'Pod', namespaced: true };

export interface KubeOperator extends Operator {
  readonly resources: SaleResources;
  /** Lets it pass by itself, as its process does: for an operator with the system's `timers`. */
  run(): Promise<void>;
  stop(): Promise<void>;
}

/** An operator as `cluster.ts` makes it, without the lease; it watches one namespace, by `follow` where that is given. */
export async function startOperator(
  world: World,
  config: KubeConfig,
  namespace: string,
  wrap: (deps: OperatorDeps) => OperatorDeps = (deps) => deps,
  follow: Pick<ReflectorOptions<KubeObject>, 'idleMs' | 'pageSize'> = {},
): Promise<KubeOperator> {
  const client = createKubeClient({ config, fieldManager: NAME });
  const api = client.resource<FlashSaleObject>(FLASH_SALES);
  const cache = new Reflector({ name: 'flashsales', source: api, log, namespace, ...follow });
  const scalers = client.resource<Autoscaler>(AUTOSCALERS);
  const autoscalers = new Reflector({
    name: 'horizontalpodautoscalers',
    source: scalers,
    log,
    namespace,
    ...follow,
  });
  const told = client.resource<EventObject>(EVENTS);
  const events = new EventRecorder({ api: told, controller: 'flashsale.dev/operator', instance: NAME, log });
  const resources = kubeResources({ api, cache, emit: (object, happening) => events.emit(object, happening) });
  const workloads = kubeWorkloads({ resource: (kind) => client.resource(kind), autoscalers: autoscalers.store });
  await Promise.all([cache.start(), autoscalers.start()]);
  await Promise.all([cache.synced(), autoscalers.synced()]);
  const operator = world.operator((deps) => wrap({ ...deps, resources, workloads }));
  const looks = loop('registry', log, LOOK_MS, () => operator.runner.look());
  let unwatch = (): void => undefined;
  const run = async (): Promise<void> => {
    unwatch = resources.watch((changed) => operator.runner.wake(changed));
    await looks.start?.();
  };
  const stop = async (): Promise<void> => {
    unwatch();
    operator.stopping.abort();
    await looks.drain?.();
    await operator.runner.drain();
    await events.drain();
    await Promise.all([events.stop(), cache.stop(), autoscalers.stop()]);
    await client.close();
  };
  return { ...operator, resources, run, stop };
}

/** FlashSales of a namespace, as their owners see them. */
export class Sales {
  readonly #api: ResourceApi<FlashSaleObject>;
  readonly namespace: string;

  constructor(client: KubeClient, namespace: string) {
    this.#api = client.resource<FlashSaleObject>(FLASH_SALES);
    this.namespace = namespace;
  }

  /** As `kubectl apply` does on the server's side. */
  async apply(name: string, spec: SpecChange): Promise<void> {
    await this.#api.apply(documentOf(name, spec, this.namespace));
  }

  async patch(name: string, spec: object): Promise<FlashSaleObject> {
    return this.#api.mergePatch({ name, namespace: this.namespace }, { spec });
  }

  async delete(name: string): Promise<void> {
    await this.#api.remove({ name, namespace: this.namespace });
  }

  async get(name: string): Promise<FlashSaleObject | undefined> {
    const { items } = await this.#api.list({ namespace: this.namespace, fieldSelector: `metadata.name=${name}` });
    return items[0];
  }

  async all(): Promise<readonly FlashSaleObject[]> {
    return (await this.#api.list({ namespace: this.namespace })).items;
  }

  /** Passes, and `between` each two of them, until the sale is as wanted. */
  async until(
    operator: Operator,
    name: string,
    wanted: (status: SaleStatus) => boolean,
    between: () => Promise<unknown> = () => pause(NAP_MS),
  ): Promise<SaleStatus> {
    const deadline = Date.now() + UNTIL_MS;
    for (;;) {
      await operator.pass();
      const status = (await this.get(name))?.status as SaleStatus | undefined;
      if (status && wanted(status)) return status;
      if (Date.now() > deadline) throw new Error(`never so; last: ${JSON.stringify(status)} ${String(wanted)}`);
      await between();
    }
  }

  /** Passes until the sale is gone. */
  async gone(operator: Operator, name: string, between: () => Promise<unknown> = () => pause(NAP_MS)): Promise<void> {
    const deadline = Date.now() + UNTIL_MS;
    while (await this.get(name)) {
      if (Date.now() > deadline) throw new Error(`${name} is still there`);
      await operator.pass();
      await between();
    }
  }

  /** Takes every sale away without its operator, so that the namespace can go. */
  async clear(): Promise<void> {
    for (const { metadata } of await this.all()) {
      await this.#api.mergePatch(metadata, { metadata: { finalizers: null } });
      if (await this.get(metadata.name)) await this.#api.remove(metadata);
    }
  }
}

interface Pod extends KubeObject {
  readonly status?: { readonly phase?: string };
}

/** What a node does, as far as anybody looks: every pod of the namespace is Ready `afterMs` after it was made. */
export async function startKubelet(
  client: KubeClient,
  namespace: string,
  afterMs: number,
): Promise<() => Promise<void>> {
  const pods = client.resource<Pod>(PODS);
  const cache = new Reflector<Pod>({ name: 'pods', source: pods, log, namespace });
  const ready = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] };
  const under = new Set<Promise<unknown>>();
  const run = async ({ metadata }: Pod): Promise<void> => {
    await pause(afterMs);
    // It may have been taken away meanwhile.
    await pods.mergePatch(metadata, { status: ready }, { subresource: 'status' }).catch(() => undefined);
  };
  cache.subscribe({
    added: (pod) => {
      const work = run(pod).finally(() => under.delete(work));
      under.add(work);
    },
  });
  await cache.start();
  await cache.synced();
  return async () => {
    await cache.stop();
    await Promise.all(under);
  };
}

/** A Deployment whose pods need no image and no node. */
export async function createDeployment(cluster: Cluster, name: string, replicas: number): Promise<void> {
  const labels = { app: name };
  const template = { metadata: { labels }, spec: { containers: [{ name: 'main', image: 'none' }] } };
  await cluster.client.resource(DEPLOYMENTS).create({
    metadata: { name, namespace: cluster.namespace },
    spec: { replicas, selector: { matchLabels: labels }, template },
  } as KubeObject);
}

export function createAutoscaler(cluster: Cluster, name: string): Promise<KubeObject> {
  return cluster.client.resource(AUTOSCALERS).create({
    metadata: { name, namespace: cluster.namespace },
    spec: { minReplicas: 1, maxReplicas: 3, scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name } },
  } as KubeObject);
}
