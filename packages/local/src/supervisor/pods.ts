/** Deployments whose pods are processes of this machine: as many run as one asks for, as many of its pods are Ready. */
import { setTimeout as pause } from 'node:timers/promises';
import { isNotFound } from '@flashsale/kube/api-error';
import { createKubeClient, KubeConfig, type KubeClient } from '@flashsale/kube/client';
import type { KubeObject, Resource } from '@flashsale/kube/object';
import { DEPLOYMENTS, type ScalableObject } from '@flashsale/operator/kube/workloads';
import { note } from '../progress.ts';
import { MAX_REPLICAS, type Workload } from './workload.ts';

const PODS: Resource = { group: '', version: 'v1', plural: 'pods', kind: 'Pod', namespaced: true };
/** Whether a process is ready has no event. */
const POLL_MS = 500;

interface Pod extends KubeObject {
  readonly spec?: { readonly nodeName?: string; readonly containers?: readonly { name: string; image: string }[] };
  readonly status?: {
    readonly startTime?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

/**
 * Keeps both sides alike until it is stopped. `workloads` by `Deployment/name`, of one namespace. What the API server
 * refuses, or does not answer, is told once and tried again.
 */
export function keepPods(
  kubeconfig: string,
  namespace: string,
  workloads: ReadonlyMap<string, Workload>,
): { stop(): Promise<void> } {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig);
  const client = createKubeClient({ config, fieldManager: 'flashsale-supervisor' });
  const stopping = new AbortController();
  const { signal } = stopping;
  const keep = async (workload: Workload): Promise<void> => {
    let told = '';
    while (!signal.aborted) {
      const trouble = await alike(client, namespace, workload).then(() => '', String);
      if (trouble !== '' && trouble !== told) note(`pods of ${workload.name}: ${trouble}`);
      told = trouble;
      await pause(POLL_MS, undefined, { signal }).catch(() => undefined);
    }
  };
  const done = Promise.all([...workloads.values()].map(keep)).then(() => client.close());
  return {
    stop: () => {
      stopping.abort();
      return done;
    },
  };
}

async function alike(client: KubeClient, namespace: string, workload: Workload): Promise<void> {
  const { name } = workload;
  const found = await client.resource<ScalableObject>(DEPLOYMENTS).get({ namespace, name });
  const wanted = Math.min(found.spec?.replicas ?? 1, MAX_REPLICAS);
  const { desired, ready } = await workload.status();
  if (wanted !== desired) workload.scale(wanted);
  const pods = client.resource<Pod>(PODS);
  const { items } = await pods.list({ namespace, labelSelector: `app.kubernetes.io/name=${name}` });
  for (const [place, pod] of items.filter(isPlaced).toSorted(byReadiness).entries()) {
    const isUp = place < ready;
    if (isUp === isReady(pod)) continue;
    const status = statusOf(pod, isUp, new Date().toISOString());
    await pods.apply({ metadata: { namespace, name: pod.metadata.name }, status }, { subresource: 'status' }).catch(
      // It was taken away meanwhile.
      (error: unknown) => {
        if (!isNotFound(error)) throw error;
      },
    );
  }
}

const isPlaced = ({ metadata, spec }: Pod): boolean =>
  spec?.nodeName !== undefined && metadata.deletionTimestamp === undefined;

const isReady = ({ status }: Pod): boolean =>
  status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True') ?? false;

/** Pods that are Ready first: they stay so as long as processes are. */
const byReadiness = (one: Pod, other: Pod): number => Number(isReady(other)) - Number(isReady(one));

function statusOf({ spec, status }: Pod, isUp: boolean, now: string): NonNullable<Pod['status']> {
  const lastTransitionTime = now;
  const startTime = status?.startTime ?? now;
  const condition = { status: isUp ? 'True' : 'False', lastTransitionTime };
  const containerStatuses = (spec?.containers ?? []).map(({ name, image }) => ({
    name,
    image,
    imageID: '',
    ready: isUp,
    restartCount: 0,
    state: { running: { startedAt: startTime } },
  }));
  return {
    ...{ phase: 'Running', startTime, containerStatuses },
    conditions: ['Ready', 'ContainersReady'].map((type) => ({ type, ...condition })),
  };
}
