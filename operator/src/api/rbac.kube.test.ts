/** What is in operator/config on a real API server: the operator may do its work, and nothing else. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { testKube } from '@flashsale/local/testing';
import {
  answerOf,
  CONFIG,
  installRights,
  manifests,
  openCluster,
  RBAC,
  type Cluster,
  type Manifest,
} from './cluster.fixture.ts';

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
async function may(right: Right): Promise<boolean> {
  const review = await cluster.client.call<{ status: { allowed: boolean } }>({
    method: 'POST',
    path: '/apis/authorization.k8s.io/v1/subjectaccessreviews',
    body: { spec: { user: USER, resourceAttributes: { namespace: 'shop', ...right } } },
  });
  return review.status.allowed;
}

const sales = { group: 'flashsale.dev', resource: 'flashsales' };
const leases = { group: 'coordination.k8s.io', resource: 'leases', namespace: SYSTEM };
const RIGHTS: readonly Right[] = [
  ...['get', 'list', 'watch', 'patch'].map((verb) => ({ ...sales, verb })),
  ...['get', 'patch', 'update'].map((verb) => ({ ...sales, subresource: 'status', verb })),
  { ...sales, subresource: 'finalizers', verb: 'update' },
  ...['deployments', 'statefulsets'].flatMap((resource) => [
    ...['get', 'list', 'watch'].map((verb) => ({ group: 'apps', resource, verb })),
    ...['get', 'patch', 'update'].map((verb) => ({ group: 'apps', resource, subresource: 'scale', verb })),
  ]),
  ...['get', 'list', 'watch'].map((verb) => ({ group: 'autoscaling', resource: 'horizontalpodautoscalers', verb })),
  ...['create', 'patch'].map((verb) => ({ group: 'events.k8s.io', resource: 'events', verb })),
  { ...leases, verb: 'create' },
  ...['get', 'update'].map((verb) => ({ ...leases, name: 'flashsale-operator', verb })),
];

const WRONGS: readonly Right[] = [
  ...['create', 'update', 'delete', 'deletecollection'].map((verb) => ({ ...sales, verb })),
  ...['patch', 'update', 'delete', 'create'].map((verb) => ({ group: 'apps', resource: 'deployments', verb })),
  { group: 'apps', resource: 'daemonsets', verb: 'get' },
  { group: '', resource: 'secrets', verb: 'get' },
  { group: '', resource: 'secrets', verb: 'list', namespace: SYSTEM },
  { group: '', resource: 'pods', verb: 'create' },
  { group: '', resource: 'pods', subresource: 'exec', verb: 'create' },
  { group: 'autoscaling', resource: 'horizontalpodautoscalers', verb: 'patch' },
  { ...leases, namespace: 'kube-system', name: 'flashsale-operator', verb: 'update' },
  { ...leases, name: 'another', verb: 'update' },
  { ...leases, name: 'flashsale-operator', verb: 'delete' },
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

for (const right of RIGHTS) {
  test(`the operator may ${words(right)}`, async () => {
    const until = Date.now() + 10_000;
    while (!(await may(right))) assert.ok(Date.now() < until, 'it may not');
  });
}
for (const wrong of WRONGS) {
  test(`the operator may not ${words(wrong)}`, async () => assert.equal(await may(wrong), false));
}

test('the roles grant no right that is not in the list', () => {
  interface Role {
    readonly rules?: readonly { apiGroups: string[]; resources: string[]; verbs: string[] }[];
  }
  const granted = files
    .flatMap((file) => manifests(new URL(file, RBAC)) as (Manifest & Role)[])
    .flatMap(({ rules = [] }) => rules)
    .flatMap(({ apiGroups, resources, verbs }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((resource) => verbs.map((verb) => `${verb} ${resource}.${group}`)),
      ),
    );
  const listed = RIGHTS.map(({ verb, resource, subresource, group }) => {
    return `${verb} ${subresource === undefined ? resource : `${resource}/${subresource}`}.${group}`;
  });
  assert.deepEqual([...new Set(granted)].sort(), [...new Set(listed)].sort());
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
