/** Nodes for a control plane: the scheduler, and KWOK, which plays the nodes. Their pods become Ready and run nothing. */
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ensureKube, ensureKwok, KWOK_STAGES } from './kube-build.ts';
import { kubectl } from './kubectl.ts';

const READY_S = 120;
/** The kubelet's own default. */
const LEASE_S = 40;

/** Resolves when the nodes are Ready. Throws where they are not in two minutes. */
export async function addNodes(
  count: number,
  kubeconfig: string,
  launch: (name: string, command: readonly string[]) => Promise<unknown>,
): Promise<void> {
  const [kube, kwok] = [await ensureKube(), await ensureKwok()];
  const file = join(dirname(kubeconfig), 'nodes.json');
  const items = Array.from({ length: count }, (_none, index) => nodeOf(`kwok-${index + 1}`));
  await writeFile(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  await launch('scheduler', [kube, ...scheduler(kubeconfig)]);
  await launch('kwok', [kwok, ...player(kubeconfig)]);
  await kubectl(kubeconfig, 'apply', '--server-side', `--filename=${file}`);
  await kubectl(kubeconfig, 'wait', '--for=condition=Ready', `--timeout=${READY_S}s`, `--filename=${file}`);
}

function scheduler(kubeconfig: string): string[] {
  return [
    'kube-scheduler',
    `--kubeconfig=${kubeconfig}`,
    '--leader-elect=false',
    '--secure-port=0',
    '--profiling=false',
  ];
}

function player(kubeconfig: string): string[] {
  return [
    `--kubeconfig=${kubeconfig}`,
    `--config=${KWOK_STAGES}`,
    '--manage-all-nodes=true',
    // Without leases that are renewed, nodes and their pods are NotReady after a minute.
    `--node-lease-duration-seconds=${LEASE_S}`,
  ];
}

/** How much it has room for says KWOK. */
function nodeOf(name: string): object {
  const labels = {
    'kubernetes.io/hostname': name,
    'kubernetes.io/os': 'linux',
    'kubernetes.io/arch': 'amd64',
    type: 'kwok',
  };
  return { apiVersion: 'v1', kind: 'Node', metadata: { name, labels } };
}
