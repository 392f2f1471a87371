/** A namespace on the Kubernetes API server for tests, with the CRD as it is committed. */
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { request, type RequestOptions } from 'node:https';
import { setTimeout as pause } from 'node:timers/promises';
import { createKubeClient, KubeConfig, type KubeClient } from '@flashsale/kube/client';
import { parse, parseAllDocuments } from 'yaml';

export const CONFIG = new URL('../../config/', import.meta.url);
export const RBAC = new URL('rbac/', CONFIG);
export const CRD_FILE = new URL('crd/flashsales.flashsale.dev.yaml', CONFIG);
const CRD_PATH = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/flashsales.flashsale.dev';
const ESTABLISHED_MS = 30_000;

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly [member: string]: unknown;
}

/** What the API server made of a request: the object, or the words of its refusal. */
export type Answer<T> =
  { readonly object: T; readonly refusal: undefined } | { readonly object: undefined; readonly refusal: string };

export type Call = Parameters<KubeClient['call']>[0];

export interface Table {
  readonly columnDefinitions: readonly Readonly<Record<'name' | 'type' | 'description', string>>[];
  readonly rows: readonly { readonly cells: readonly unknown[] }[];
}

/** `metav1.StatusCause`: `field` is a JSON path, as `spec.items[0].sku`. */
export interface Cause {
  readonly field: string;
  readonly reason: string;
  readonly message: string;
}

export interface Cluster {
  readonly client: KubeClient;
  readonly namespace: string;
  /** Where the sales of the namespace are. */
  readonly sales: string;
  readonly config: KubeConfig;
  /** The table that `kubectl get` prints. */
  table(path: string): Promise<Table>;
  /** What is wrong with a request, cause by cause; none where it is accepted. */
  causes(call: Call): Promise<Cause[]>;
  close(): Promise<void>;
}

export function manifests(file: URL): Manifest[] {
  return parseAllDocuments(readFileSync(file, 'utf8')).map((document) => document.toJS() as Manifest);
}

/** `kubeconfig` is a path. The namespace goes with `close`. */
export async function openCluster(kubeconfig: string): Promise<Cluster> {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig);
  const client = createKubeClient({ config, fieldManager: 'tests', deadlineMs: 30_000 });
  await installCrd(client);
  const namespace = `crd-${randomBytes(4).toString('hex')}`;
  await client.call({ method: 'POST', path: '/api/v1/namespaces', body: { metadata: { name: namespace } } });
  return {
    client,
    namespace,
    sales: `/apis/flashsale.dev/v1/namespaces/${namespace}/flashsales`,
    config,
    table: async (path) => (await ask(config, { method: 'GET', path }, TABLE)) as Table,
    causes: (call) => causesOf(config, call),
    close: async () => {
      await client.call({ method: 'DELETE', path: `/api/v1/namespaces/${namespace}` });
      await client.close();
    },
  };
}

/** Applies the CRD and waits until its resources are served. Safe beside others who do the same. */
export async function installCrd(client: KubeClient): Promise<void> {
  await client.call({
    method: 'PATCH',
    path: `${CRD_PATH}?fieldManager=tests&force=true&fieldValidation=Strict`,
    contentType: 'application/apply-patch+yaml',
    body: parse(readFileSync(CRD_FILE, 'utf8')) as unknown,
  });
  const until = Date.now() + ESTABLISHED_MS;
  while (!(await isServed(client))) {
    if (Date.now() > until) throw new Error(`the CRD is not established after ${ESTABLISHED_MS} ms`);
    await pause(50);
  }
}

const PLURALS: Readonly<Record<string, string>> = {
  Namespace: 'namespaces',
  ServiceAccount: 'serviceaccounts',
  ClusterRole: 'clusterroles',
  ClusterRoleBinding: 'clusterrolebindings',
  Role: 'roles',
  RoleBinding: 'rolebindings',
  Deployment: 'deployments',
};

function apply(client: KubeClient, manifest: Manifest): Promise<unknown> {
  const { apiVersion, kind, metadata } = manifest;
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const scope = metadata.namespace === undefined ? '' : `/namespaces/${metadata.namespace}`;
  return client.call({
    method: 'PATCH',
    path: `${root}${scope}/${PLURALS[kind] ?? kind}/${metadata.name}?fieldManager=tests&force=true&fieldValidation=Strict`,
    contentType: 'application/apply-patch+yaml',
    body: manifest,
  });
}

const SYSTEM = 'flashsale-system';

/** The operator's namespace, service account and roles, as they are committed. Safe beside others who do the same. */
export async function installRights(client: KubeClient): Promise<void> {
  const [namespace] = manifests(new URL('manager.yaml', CONFIG)) as [Manifest];
  await apply(client, namespace);
  for (const manifest of rights()) await apply(client, manifest);
}

function rights(): Manifest[] {
  return readdirSync(RBAC).flatMap((file) => manifests(new URL(file, RBAC)));
}

/** The same in a namespace that is there, and for this one alone: its sales, its workloads, its lease. */
export async function installRightsIn(client: KubeClient, namespace: string): Promise<void> {
  const moved = JSON.parse(JSON.stringify(rights()).replaceAll(SYSTEM, namespace)) as Manifest[];
  for (const manifest of moved) {
    const { kind, metadata } = manifest;
    const bound = kind === 'ClusterRoleBinding';
    await apply(client, bound ? { ...manifest, kind: 'RoleBinding', metadata: { ...metadata, namespace } } : manifest);
  }
}

/** Text of a kubeconfig of the operator's service account in a namespace, whose rights it has and no others. */
export async function kubeconfigOf(client: KubeClient, config: KubeConfig, namespace: string): Promise<string> {
  const { status } = await client.call<{ status: { token: string } }>({
    method: 'POST',
    path: `/api/v1/namespaces/${namespace}/serviceaccounts/flashsale-operator/token`,
    body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 3_600 } },
  });
  const own = new KubeConfig();
  const cluster = config.getCurrentCluster();
  if (!cluster) throw new Error('the kubeconfig has no current cluster');
  own.loadFromClusterAndUser(cluster, { name: 'operator', token: status.token });
  return own.exportConfig();
}

interface Crd {
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

async function isServed(client: KubeClient): Promise<boolean> {
  const { status } = await client.call<Crd>({ method: 'GET', path: CRD_PATH });
  return (status?.conditions ?? []).some(
    (condition) => condition.type === 'Established' && condition.status === 'True',
  );
}

/** Resolves to the answer, also where that is a refusal (a 4xx); throws any other failure. */
export async function answerOf<T>(call: Promise<T>): Promise<Answer<T>> {
  try {
    return { object: await call, refusal: undefined };
  } catch (error) {
    const { code, message } = error as { code?: unknown; message?: string };
    if (typeof code !== 'number' || code < 400 || code >= 500 || code === 429) throw error;
    return { object: undefined, refusal: message ?? '' };
  }
}

type Access = Omit<RequestOptions, 'headers'> & { headers: Record<string, string> };

const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io';

interface Refusal {
  readonly kind?: string;
  readonly status?: unknown;
  readonly message?: string;
  readonly details?: { readonly causes?: readonly Partial<Cause>[] };
}

/** A refusal without causes, as of an unknown field, is one cause that names no field. */
async function causesOf(config: KubeConfig, call: Call): Promise<Cause[]> {
  const answer = (await ask(config, call)) as Refusal;
  if (answer.kind !== 'Status' || answer.status !== 'Failure') return [];
  const whole: Partial<Cause> = answer.message === undefined ? {} : { message: answer.message };
  return (answer.details?.causes ?? [whole]).map(({ field = '', reason = '', message = '' }) => ({
    field,
    reason,
    message,
  }));
}

/** The body of the answer, whatever its status. */
async function ask(config: KubeConfig, call: Call, accept = 'application/json'): Promise<unknown> {
  const access: Access = { headers: {} };
  await config.applyToHTTPSOptions(access);
  const url = new URL(call.path, config.getCurrentCluster()?.server);
  const headers = { ...access.headers, accept, 'content-type': call.contentType ?? 'application/json' };
  return new Promise((resolve, reject) => {
    const options = { ...access, method: call.method, headers, timeout: 10_000 };
    const sent = request(url, options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => resolve(JSON.parse(Buffer.concat(chunks).toString())));
    });
    sent.on('timeout', () => sent.destroy(new Error(`no answer from ${call.path}`)));
    sent.on('error', reject);
    sent.end(call.body === undefined ? undefined : JSON.stringify(call.body));
  });
}
