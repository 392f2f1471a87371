/** The Kubernetes of the platform: its control plane and nodes, and what has to be in it before the operator starts. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { REPO } from '../paths.ts';
import { startKube } from '../servers/kube.ts';
import { kubectl } from '../servers/kubectl.ts';
import type { InfraPlan } from './infra.ts';
import { keepPods } from './pods.ts';
import type { Workload } from './workload.ts';

const NODES = 3;
/** Of the sales and of the workloads that they scale. */
const NAMESPACE = 'shop';
const PLATFORM = join(REPO, 'packages/local/kube/platform.yaml');
const OPERATOR = join(REPO, 'operator/config');
/** The cluster is this machine's own; at each start there is a new token. */
const TOKEN_FOR = '8760h';

export interface Cluster extends InfraPlan {
  /** For its administrator. */
  readonly kubeconfig: string;
  /** The rights of operator/config/rbac and no others. Written by `prepare`. */
  readonly forOperator: { readonly operatorKubeconfig: string };
  /** Applies namespaces, CRD, rights and workloads. Safe to repeat. */
  readonly prepare: () => Promise<void>;
  /** From now on its Deployments say how many processes of each workload run. */
  readonly keepPods: (workloads: ReadonlyMap<string, Workload>) => { stop(): Promise<void> };
}

/** `port` is the API server's. */
export function clusterOf(dataDir: string, port: number): Cluster {
  const folder = join(dataDir, 'kubernetes');
  const kubeconfig = join(folder, 'kubeconfig');
  const operatorKubeconfig = join(folder, 'operator.kubeconfig');
  return {
    name: 'kubernetes',
    kubeconfig,
    forOperator: { operatorKubeconfig },
    launch: () => startKube({ dataDir: folder, port, nodes: NODES }),
    prepare: async () => {
      const files = [PLATFORM, join(OPERATOR, 'crd'), join(OPERATOR, 'rbac')].map((path) => `--filename=${path}`);
      await kubectl(kubeconfig, 'apply', '--server-side', '--force-conflicts', ...files);
      await kubectl(kubeconfig, 'wait', '--for=condition=Established', ...files.slice(1, 2), '--timeout=60s');
      const account = ['flashsale-operator', '--namespace=flashsale-system'];
      const token = await kubectl(kubeconfig, 'create', 'token', ...account, `--duration=${TOKEN_FOR}`);
      await writeFile(operatorKubeconfig, withToken(await readFile(kubeconfig, 'utf8'), token.trim()), { mode: 0o600 });
    },
    keepPods: (workloads) => keepPods(kubeconfig, NAMESPACE, workloads),
  };
}

/** The same cluster for the bearer of a token. */
function withToken(kubeconfig: string, token: string): string {
  const { clusters } = JSON.parse(kubeconfig) as { clusters: readonly { name: string }[] };
  const context = { cluster: clusters[0]?.name, user: 'operator' };
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'operator',
    clusters,
    users: [{ name: 'operator', user: { token } }],
    contexts: [{ name: 'operator', context }],
  });
}
