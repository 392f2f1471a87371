/** FlashSales of a platform with Kubernetes: read from and applied to its API server, as kubectl would. */
import { ApiError, isConflict, isNotFound } from '@flashsale/kube/api-error';
import { createKubeClient, KubeConfig, type KubeClient } from '@flashsale/kube/client';
import type { Resource } from '@flashsale/kube/object';
import { FLASH_SALES, type FlashSaleObject } from '@flashsale/operator/kube/resources';
import type { SaleResource } from '@flashsale/operator/resources';
import { newStatus } from '@flashsale/operator/status';
import { parse } from 'yaml';
import { UsageError } from '../usage-error.ts';
import type { Sales } from './sales.ts';

const NAMESPACES: Resource = { group: '', version: 'v1', plural: 'namespaces', kind: 'Namespace', namespaced: false };

/** `kubeconfig` is a path. Each call has a connection of its own: nothing is left to close. */
export function clusterSales(kubeconfig: string): Sales {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig);
  const on = async <T>(work: (client: KubeClient) => Promise<T>): Promise<T> => {
    const client = createKubeClient({ config, fieldManager: 'flashsale' });
    try {
      return await work(client);
    } finally {
      await client.close();
    }
  };
  const sales = (client: KubeClient) => client.resource<FlashSaleObject>(FLASH_SALES);
  return {
    list: () => on(async (client) => (await sales(client).list({})).items.map(resourceOf)),
    write: ({ namespace, name }, text, old) =>
      on(async (client) => {
        const { metadata, spec } = parse(text) as FlashSaleObject;
        const { labels = {}, annotations = {} } = metadata;
        await ensureNamespace(client, namespace);
        const document = { metadata: { namespace, name, labels, annotations }, spec };
        const applied = await sales(client).apply(document).catch(inWords);
        if (old === undefined) return 'created';
        return applied.metadata.generation === old.generation ? 'unchanged' : 'configured';
      }),
    askDeletion: (name) => on((client) => sales(client).remove(name)),
    isGone: (name) => on((client) => sales(client).get(name).then(isStillThere, isGone)),
  };
}

function resourceOf({ apiVersion, kind, metadata, spec, status }: FlashSaleObject): SaleResource {
  const { name, namespace = '', labels, annotations, creationTimestamp, generation = 0 } = metadata;
  const shown = { name, namespace, labels, annotations, creationTimestamp };
  return {
    name,
    namespace,
    text: JSON.stringify({ apiVersion, kind, metadata: shown, spec }),
    status: status && { ...newStatus, ...status },
    deleting: metadata.deletionTimestamp !== undefined,
    generation,
  };
}

/** On one machine a namespace is a word: here it must be there. */
async function ensureNamespace(client: KubeClient, name: string): Promise<void> {
  const namespace = client.resource(NAMESPACES).create({ metadata: { name } });
  await namespace.catch((error: unknown) => {
    if (!isConflict(error)) throw error;
  });
}

/** What the API server refuses is for the user to put right. */
function inWords(error: unknown): never {
  if (error instanceof ApiError && error.code === 422) throw new UsageError(error.message);
  throw error;
}

const isStillThere = (): boolean => false;

function isGone(error: unknown): boolean {
  if (isNotFound(error)) return true;
  throw error;
}
