/** What is in operator/config on a real API server: the operator may do its work, and nothing else. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { kubectl } from '@flashsale/local/servers/kubectl';
import { testFolder, testKube } from '@flashsale/local/testing';
import {
  answerOf,
  CONFIG,
  CRD_FILE,
  installRights,
  manifests,
  openCluster,
  RBAC,
  type Cluster,
  type Manifest,
} from './cluster.fixture.ts';
import { granted, right } from './rights.fixture.ts';

const files = readdirSync(RBAC);
const SYSTEM = 'flashsale-system';
const USER = `system:serviceaccount:${SYSTEM}:flashsale-operator`;

let cluster: Cluster;
before(async () => {
  cluster = await openCluster(await testKube());
  await installRights(cluster.client);
});
after(() => cluster.close());

interface Right {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly subresource?: string;
  readonly namespace?: string;
  readonly name?: string;
}

/** `kubectl auth can-i VERB RESOURCE --as` the operator. The authorizer learns of new roles a moment later. */
async function may(asked: Right): Promise<boolean> {
  const review = await cluster.client.call<{ status: { allowed: boolean } }>({
    method: 'POST',
    path: '/apis/authorization.k8s.io/v1/subjectaccessreviews',
    body: { spec: { user: USER, resourceAttributes: { namespace: 'shop', ...asked } } },
  });
  return review.status.allowed;
}

const sales = { group: 'flashsale.dev', resource: 'flashsales' };
const leases = { group: 'coordination.k8s.io', resource: 'leases', namespace: SYSTEM };
const workloads = ['deployments', 'statefulsets'].map((resource) => ({ group: 'apps', resource }));
const autoscalers = { group: 'autoscaling', resource: 'horizontalpodautoscalers' };
const RIGHTS: readonly Right[] = [
  ...['get', 'list', 'watch', 'patch'].map((verb) => ({ ...sales, verb })),
  { ...sales, subresource: 'status', verb: 'patch' },
  ...workloads.map((workload) => ({ ...workload, verb: 'get' })),
  ...workloads.map((workload) => ({ ...workload, subresource: 'scale', verb: 'patch' })),
  ...['list', 'watch'].map((verb) => ({ ...autoscalers, verb })),
  ...['create', 'patch'].map((verb) => ({ group: 'events.k8s.io', resource: 'events', verb })),
  { ...leases, verb: 'create' },
  ...['get', 'update'].map((verb) => ({ ...leases, name: 'flashsale-operator', verb })),
];

const WRONGS: readonly Right[] = [
  ...['create', 'update', 'delete', 'deletecollection'].map((verb) => ({ ...sales, verb })),
  ...['get', 'update'].map((verb) => ({ ...sales, subresource: 'status', verb })),
  { ...sales, subresource: 'finalizers', verb: 'update' },
  ...workloads.flatMap((workload) => [
    ...['list', 'watch', 'patch', 'update', 'delete', 'create'].map((verb) => ({ ...workload, verb })),
    ...['get', 'update'].map((verb) => ({ ...workload, subresource: 'scale', verb })),
  ]),
  ...['get', 'patch', 'update', 'delete'].map((verb) => ({ ...autoscalers, verb })),
  ...['get', 'list', 'watch', 'update', 'delete'].map((verb) => ({ group: 'events.k8s.io', resource: 'events', verb })),
  { group: 'apps', resource: 'daemonsets', verb: 'get' },
  { group: '', resource: 'secrets', verb: 'get' },
  { group: '', resource: 'secrets', verb: 'list', namespace: SYSTEM },
  { group: '', resource: 'pods', verb: 'create' },
  { group: '', resource: 'pods', subresource: 'exec', verb: 'create' },
  { ...leases, namespace: 'kube-system', name: 'flashsale-operator', verb: 'update' },
  { ...leases, name: 'another', verb: 'update' },
  ...['list', 'watch', 'patch', 'delete'].map((verb) => ({ ...leases, name: 'flashsale-operator', verb })),
  { group: 'rbac.authorization.k8s.io', resource: 'clusterroles', verb: 'escalate' },
  { group: 'rbac.authorization.k8s.io', resource: 'clusterroles', verb: 'bind' },
  { group: '', resource: 'serviceaccounts', subresource: 'token', verb: 'create', namespace: SYSTEM },
];
const words = ({ verb, resource, subresource, name, namespace }: Right): string =>
  [verb, subresource === undefined ? resource : `${resource}/${subresource}`, name, namespace]
    .filter(Boolean)
    .join(' ');

test('the roles name everything that they grant', () => {
  for (const file of files) assert.doesNotMatch(readFileSync(new URL(file, RBAC), 'utf8'), /\*/, file);
});

for (const one of RIGHTS) {
  test(`the operator may ${words(one)}`, async () => {
    const until = Date.now() + 10_000;
    while (!(await may(one))) assert.ok(Date.now() < until, 'it may not');
  });
}
for (const wrong of WRONGS) {
  test(`the operator may not ${words(wrong)}`, async () => assert.equal(await may(wrong), false));
}

test('the roles grant no right that is not in the list', () => {
  const listed = RIGHTS.map(({ verb, resource, subresource, group }) => {
    return right(verb, subresource === undefined ? resource : `${resource}/${subresource}`, group);
  });
  assert.deepEqual([...granted()].sort(), [...new Set(listed)].sort());
});

test('the Deployment is accepted, and its pods where only restricted ones are', async () => {
  const [, deployment] = manifests(new URL('manager.yaml', CONFIG)) as [
    Manifest,
    Manifest & { spec: { template: object } },
  ];
  const path = `/apis/apps/v1/namespaces/${SYSTEM}/deployments?dryRun=All&fieldValidation=Strict`;
  assert.equal((await answerOf(cluster.client.call({ method: 'POST', path, body: deployment }))).refusal, undefined);
  const pod = { apiVersion: 'v1', kind: 'Pod', ...structuredClone(deployment.spec.template) } as unknown as Pod;
  pod.metadata.name = 'pod';
  const pods = `/api/v1/namespaces/${SYSTEM}/pods?dryRun=All&fieldValidation=Strict`;
  assert.equal((await answerOf(cluster.client.call({ method: 'POST', path: pods, body: pod }))).refusal, undefined);
  delete pod.spec.containers[0].securityContext['allowPrivilegeEscalation'];
  const { refusal } = await answerOf(cluster.client.call({ method: 'POST', path: pods, body: pod }));
  assert.match(refusal ?? 'it was accepted', /violates PodSecurity "restricted:latest"/);
});

test('kubectl applies all of it as one kustomization, in any namespace and with any image', async () => {
  const kubeconfig = await testKube();
  const folder = fileURLToPath(CONFIG);
  const options = ['--server-side', '--force-conflicts', '--dry-run=server', '--output=name'];
  const applied = await kubectl(kubeconfig, 'apply', ...options, `--kustomize=${folder}`);
  const inFiles = [CRD_FILE, new URL('manager.yaml', CONFIG), ...files.map((file) => new URL(file, RBAC))];
  assert.equal(applied.trim().split('\n').length, inFiles.flatMap((file) => manifests(file)).length, applied);

  const overlay = join(testFolder(), 'overlay');
  mkdirSync(overlay, { recursive: true });
  const image = { name: 'flashsale/operator', newName: 'registry.example.com/operator', newTag: '9.9.9' };
  const kustomization = { resources: [relative(overlay, folder)], namespace: 'elsewhere', images: [image] };
  writeFileSync(join(overlay, 'kustomization.yaml'), JSON.stringify(kustomization));
  const built = await kubectl(kubeconfig, 'kustomize', overlay);
  assert.match(built, /image: registry\.example\.com\/operator:9\.9\.9\n/);
  assert.doesNotMatch(built, /flashsale-system/);
});

interface Pod {
  readonly metadata: { name?: string };
  readonly spec: { readonly containers: [{ readonly securityContext: Record<string, unknown> }] };
}

test('the root of the file system is read-only, and nothing runs as root', () => {
  const [, { spec }] = manifests(new URL('manager.yaml', CONFIG)) as [
    Manifest,
    Manifest & { spec: { template: { spec: Pod['spec'] & { securityContext: Record<string, unknown> } } } },
  ];
  const pod = spec.template.spec;
  assert.equal(pod.securityContext['runAsNonRoot'], true);
  assert.deepEqual(pod.containers[0].securityContext, {
    allowPrivilegeEscalation: false,
    privileged: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  });
});
