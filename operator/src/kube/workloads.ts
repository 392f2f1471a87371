/** Workloads of a cluster: Deployments and StatefulSets beside a sale, scaled through their scale subresource. */
import { isNotFound } from '@flashsale/kube/api-error';
import type { KubeObject, Resource } from '@flashsale/kube/object';
import type { ResourceApi } from '@flashsale/kube/ports';
import type { ReadStore } from '@flashsale/kube/store';
import { withDeadline } from '@flashsale/platform/deadline';
import type { Workloads, WorkloadTarget } from '@flashsale/sale';

/** An API server that is slow must not hold a pass up: the workload keeps what was last known of it. */
const CALL_MS = 3_000;

const apps = { group: 'apps', version: 'v1', namespaced: true };
export const DEPLOYMENTS: Resource = { ...apps, plural: 'deployments', kind: 'Deployment' };
export const STATEFUL_SETS: Resource = { ...apps, plural: 'statefulsets', kind: 'StatefulSet' };
export const AUTOSCALERS: Resource = {
  group: 'autoscaling',
  version: 'v2',
  plural: 'horizontalpodautoscalers',
  kind: 'HorizontalPodAutoscaler',
  namespaced: true,
};

export interface ScalableObject extends KubeObject {
  readonly spec?: { readonly replicas?: number };
  readonly status?: { readonly readyReplicas?: number };
}

export interface Autoscaler extends KubeObject {
  readonly spec?: {
    readonly scaleTargetRef?: { readonly apiVersion?: string; readonly kind?: string; readonly name?: string };
  };
}

export interface KubeWorkloadsOptions {
  resource(resource: Resource): Pick<ResourceApi<ScalableObject>, 'get' | 'mergePatch'>;
  /** Every autoscaler where there may be sales. */
  readonly autoscalers: Pick<ReadStore<Autoscaler>, 'values'>;
}

/** Read at each call, not from a cache: what was there before a sale must not be an old state of our own making. */
export function kubeWorkloads(options: KubeWorkloadsOptions): Workloads {
  const apis = new Map([DEPLOYMENTS, STATEFUL_SETS].map((kind) => [kind.kind, options.resource(kind)]));
  const apiOf = ({ apiVersion, kind }: WorkloadTarget) => {
    const api = apiVersion === 'apps/v1' ? apis.get(kind) : undefined;
    if (!api) throw new Error(`${apiVersion} ${kind} is not scaled here: name a Deployment or StatefulSet of apps/v1`);
    return api;
  };
  return {
    id: ({ namespace, kind, name }) => `${namespace}/${kind}/${name}`,
    async get(target) {
      const { namespace, name } = target;
      try {
        const { spec, status } = await withDeadline(
          `reading ${target.kind}/${name}`,
          CALL_MS,
          apiOf(target).get({ namespace, name }),
        );
        const heldBy = holderOf(target, options.autoscalers.values());
        return {
          // The API server's default.
          desired: spec?.replicas ?? 1,
          ready: status?.readyReplicas ?? 0,
          ...(heldBy === undefined ? {} : { heldBy }),
        };
      } catch (error) {
        if (isNotFound(error)) return undefined;
        throw error;
      }
    },
    async scale(target, replicas) {
      const { namespace, name } = target;
      const scaled = apiOf(target).mergePatch({ namespace, name }, { spec: { replicas } }, { subresource: 'scale' });
      await withDeadline(`scaling ${target.kind}/${name}`, CALL_MS, scaled);
    },
  };
}

function holderOf(target: WorkloadTarget, autoscalers: Iterable<Autoscaler>): string | undefined {
  for (const { metadata, spec } of autoscalers) {
    const held = spec?.scaleTargetRef;
    if (metadata.namespace !== target.namespace || held?.kind !== target.kind || held.name !== target.name) continue;
    // The group says which kind it is; versions of it are one and the same workload.
    if (groupOf(held.apiVersion) === groupOf(target.apiVersion)) return `HorizontalPodAutoscaler/${metadata.name}`;
  }
  return undefined;
}

const groupOf = (apiVersion = ''): string => apiVersion.split('/')[0] ?? '';
