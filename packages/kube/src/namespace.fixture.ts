/** A namespace of its own on the API server for tests. */
import { randomBytes } from 'node:crypto';
import { after } from 'node:test';
import { testKube } from '@flashsale/local/testing';
import { createKubeClient, KubeConfig, type KubeClient } from './client.ts';
import type { KubeObject, Resource } from './object.ts';
import type { ResourceApi } from './ports.ts';

export interface ConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

const core = { group: '', version: 'v1', namespaced: true };
export const CONFIG_MAPS: Resource = { ...core, plural: 'configmaps', kind: 'ConfigMap' };
export const NAMESPACES: Resource = { ...core, plural: 'namespaces', kind: 'Namespace', namespaced: false };

const DEFINITIONS: Resource = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  namespaced: false,
};

/** Defines a kind of its own, `Thing` with a free `spec`, in a group of its own; gone after the file's tests. */
export async function testKind(client: KubeClient): Promise<Resource> {
  const group = `g${randomBytes(5).toString('hex')}.test`;
  const resource: Resource = { group, version: 'v1', plural: 'things', kind: 'Thing', namespaced: true };
  const name = `things.${group}`;
  const open = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  const schema = { openAPIV3Schema: { type: 'object', properties: { spec: open, status: open } } };
  const definition = {
    metadata: { name },
    spec: {
      group,
      scope: 'Namespaced',
      names: { plural: 'things', singular: 'thing', kind: 'Thing' },
      versions: [{ name: 'v1', served: true, storage: true, schema, subresources: { status: {} } }],
    },
  };
  const definitions = client.resource(DEFINITIONS);
  await definitions.create(definition);
  after(() => definitions.remove({ name }));
  const things = client.resource(resource);
  for (let i = 0; i < 100; i += 1) {
    try {
      await things.list({});
      return resource;
    } catch {
      await new Promise((done) => setTimeout(done, 50));
    }
  }
  throw new Error(`${name} is not served`);
}

export interface TestNamespace {
  readonly kubeconfig: string;
  readonly config: KubeConfig;
  readonly client: KubeClient;
  readonly namespace: string;
  readonly maps: ResourceApi<ConfigMap>;
  /** Creates a ConfigMap with `value` in it. */
  readonly make: (name: string, value?: string) => Promise<ConfigMap>;
}

/** To be called at the top of a test file; removed after its tests. */
export async function testNamespace(): Promise<TestNamespace> {
  const kubeconfig = await testKube();
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig);
  const client = createKubeClient({ config, fieldManager: 'kube-test' });
  const namespaces = client.resource(NAMESPACES);
  const namespace = `test-${randomBytes(5).toString('hex')}`;
  await namespaces.create({ metadata: { name: namespace } });
  after(async () => {
    await namespaces.remove({ name: namespace });
    await client.close();
  });
  const maps = client.resource<ConfigMap>(CONFIG_MAPS);
  const make = (name: string, value = 'one'): Promise<ConfigMap> =>
    maps.create({ metadata: { name, namespace }, data: { value } });
  return { kubeconfig, config, client, namespace, maps, make };
}
