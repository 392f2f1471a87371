/** The environment of the operator, parsed once at start. Where its resources are decides what else it needs. */
import { ConfigError, parseConfig, vars, z } from '@flashsale/platform/config';
import { parseDuration } from '@flashsale/sale';

const SHAPE = {
  REDIS_URL: vars.REDIS_URL,
  KAFKA_BROKERS: vars.KAFKA_BROKERS,
  /** Where orders answers the ledger's internal calls. */
  ORDERS_URL: z.url(),
  /** Where the catalog loads hot pages. */
  CATALOG_URL: z.url(),
};

const MACHINE = {
  /** The folder of FlashSale documents. */
  RESOURCES_DIR: z.string().min(1),
  /** Who starts and stops the workloads. */
  SUPERVISOR_URL: z.url(),
};

const label = z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'must be the name of a namespace');
const CLUSTER = {
  /** Where the lease is that makes one of several operators the leader. */
  LEASE_NAMESPACE: label.default('flashsale-system'),
  /** How long others wait for a leader that is silent, in ms; as client-go's `--leader-elect-lease-duration`. */
  LEASE_DURATION: z
    .string()
    .default('15s')
    .transform((text) => parseDuration(text) ?? 0)
    .refine((ms) => ms >= 3_000 && ms <= 600_000, 'must be a duration from 3s to 10m, such as 15s'),
  /** The one namespace whose sales are looked after; all where absent. */
  WATCH_NAMESPACE: label.optional(),
};

/** Where the resources are: in a folder of this machine, or on the API server of KUBECONFIG or of the pod's cluster. */
export function readConfig(env: NodeJS.ProcessEnv) {
  return { ...parseConfig(SHAPE, env), machine: readMachine(env), cluster: parseConfig(CLUSTER, env) };
}

export type ClusterConfig = ReturnType<typeof readConfig>['cluster'];

function readMachine(env: NodeJS.ProcessEnv) {
  if (env['RESOURCES_DIR'] || env['SUPERVISOR_URL']) return parseConfig(MACHINE, env);
  if (env['KUBECONFIG'] || env['KUBERNETES_SERVICE_HOST']) return undefined;
  const missing = 'is missing: give it with SUPERVISOR_URL for one machine, or KUBECONFIG for a cluster';
  throw new ConfigError(new Map([['RESOURCES_DIR', missing]]));
}
