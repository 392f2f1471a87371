/** What the platform on one machine consists of: each process, what it needs before it, and its environment. */
import { join } from 'node:path';
import { REPO } from '../paths.ts';
import type { Ports } from './ports-file.ts';

export interface ServicePlan {
  readonly name: string;
  readonly entry: string;
  /** Names of what must be ready before it starts. */
  readonly after: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly port: number;
  readonly adminPort: number;
  /** Present where replicas of it may be asked for; the first one has the fixed ports. */
  readonly workload?: { readonly kind: string; readonly name: string };
}

export interface Infra {
  readonly redisUrl: string;
  readonly kafkaBrokers: string;
  /** Of the database `postgres`, as a user that may create databases. */
  readonly postgresUrl: string;
  /** Where the operator finds its API server; absent where the platform runs without Kubernetes. */
  readonly operatorKubeconfig?: string;
}

/** Stopped in this order, those of one line at the same time: nothing new comes in, then what is under way is finished. */
export const STOP_ORDER: readonly (readonly string[])[] = [
  ['operator', 'storefront', 'live'],
  ['checkout'],
  ['payments', 'orders', 'catalog'],
  ['identity'],
  ['kafka'],
  ['postgres'],
  ['redis', 'kubernetes'],
];

/** What a test buyer can spend, in minor units: 1,000.00. */
const TEST_BUYER_CREDIT_MINOR = '100000';

/** Services with a database of their own. */
export const DATABASES = ['identity', 'payments', 'orders', 'catalog'] as const;

export function databaseUrl(postgresUrl: string, name: string): string {
  const url = new URL(postgresUrl);
  url.pathname = `/${name}`;
  return url.href;
}

/** Addresses of the running platform, for its services and for the command line. */
export function addresses(ports: Ports): Record<string, string> {
  const at = (name: string): string => `http://127.0.0.1:${ports[name] ?? 0}`;
  return {
    EDGE_URL: at('edge'),
    IDENTITY_URL: at('identity'),
    CHECKOUT_URL: at('checkout'),
    PAYMENTS_URL: at('payments'),
    ORDERS_URL: at('orders'),
    CATALOG_URL: at('catalog'),
    LIVE_URL: at('live'),
    SUPERVISOR_URL: at('supervisor'),
  };
}

/** The services of the platform in `dataDir`. */
export function servicePlans(dataDir: string, ports: Ports, infra: Infra): ServicePlan[] {
  const urls = addresses(ports);
  const edge = urls['EDGE_URL'] ?? '';
  const common = {
    ...urls,
    REDIS_URL: infra.redisUrl,
    KAFKA_BROKERS: infra.kafkaBrokers,
    OIDC_ISSUER: `${edge}/oidc`,
    OIDC_AUDIENCE: 'flashsale',
    HOST: '127.0.0.1',
    LOG_LEVEL: process.env['LOG_LEVEL'] ?? 'info',
  };
  const plan = (name: string, after: readonly string[], extra: Record<string, string> = {}): ServicePlan => {
    const port = ports[name === 'storefront' ? 'edge' : name] ?? 0;
    const adminPort = ports[`${name}-admin`] ?? 0;
    const env = { ...common, PORT: String(port), ADMIN_PORT: String(adminPort), ...extra };
    return { name, entry: entryOf(name), after, env, port, adminPort };
  };
  const database = (name: string): Record<string, string> => ({ DATABASE_URL: databaseUrl(infra.postgresUrl, name) });
  // Verifying tokens needs the provider's keys, which are read through the edge.
  const signedIn = ['identity', 'storefront'];
  return [
    plan('identity', ['postgres'], {
      ...database('identity'),
      TEST_BUYERS: 'true',
      OIDC_REDIRECT_URIS: `${edge}/auth/callback`,
    }),
    plan('storefront', ['redis']),
    plan('orders', ['postgres', 'kafka', 'redis', ...signedIn], database('orders')),
    {
      ...plan('payments', ['postgres', 'kafka', 'redis', ...signedIn], {
        ...database('payments'),
        OPENING_CREDIT_MINOR: TEST_BUYER_CREDIT_MINOR,
      }),
      workload: { kind: 'Deployment', name: 'payments' },
    },
    plan('catalog', ['postgres', 'redis'], database('catalog')),
    plan('checkout', ['kafka', 'redis', ...signedIn]),
    plan('live', ['redis', ...signedIn], { SERVER_ID: 'live-1' }),
    plan('operator', ['kafka', 'redis', 'orders', 'payments', 'catalog', 'kubernetes'], placeOf(dataDir, infra)),
  ];
}

/** Where the operator's resources and workloads are. */
function placeOf(dataDir: string, { operatorKubeconfig }: Infra): Record<string, string> {
  if (operatorKubeconfig === undefined) return { RESOURCES_DIR: join(dataDir, 'resources') };
  return { KUBECONFIG: operatorKubeconfig, RESOURCES_DIR: '', SUPERVISOR_URL: '' };
}

function entryOf(name: string): string {
  return join(REPO, name === 'operator' ? 'operator' : `services/${name}`, 'src/main.ts');
}
