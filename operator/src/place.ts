/** Where the operator runs: on one machine, or in a Kubernetes cluster (`kube/cluster.ts`). */
import type { Part } from '@flashsale/platform/run';
import type { Workloads } from '@flashsale/sale';
import type { SaleResources } from './resources.ts';

export interface Place {
  readonly resources: SaleResources;
  readonly workloads: Workloads;
  /** Whether this process may act at this very moment: one of several operators does. */
  readonly leads: () => boolean;
  /** Started before the first pass, and stopped after the last. */
  readonly parts: readonly Part[];
}
