/** argocd-cm.yaml: the scripts as they are tested, under the keys that Argo CD reads, and no script that needs more than it has. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';
import { NAME } from '../kube/cluster.ts';
import { DEPLOYMENTS, STATEFUL_SETS } from '../kube/workloads.ts';
import { GITOPS, textOf } from './lua.fixture.ts';

interface ConfigMap {
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly data: Readonly<Record<string, string>>;
}
const { metadata, data } = parse(readFileSync(new URL('argocd-cm.yaml', GITOPS), 'utf8')) as ConfigMap;
const KEY = /^resource\.customizations\.(\w+)\.(.+)$/;

test('it is the ConfigMap that Argo CD reads, and each key is a customization of one kind', () => {
  assert.deepEqual(metadata, {
    name: 'argocd-cm',
    namespace: 'argocd',
    labels: { 'app.kubernetes.io/name': 'argocd-cm', 'app.kubernetes.io/part-of': 'argocd' },
  });
  const found = Object.keys(data).map((key) => KEY.exec(key)?.slice(1).join(' '));
  assert.deepEqual(found.sort(), [
    'actions flashsale.dev_FlashSale',
    'health flashsale.dev_FlashSale',
    'ignoreDifferences apps_Deployment',
    'ignoreDifferences apps_StatefulSet',
    'ignoreResourceUpdates flashsale.dev_FlashSale',
  ]);
});

test('its scripts are the ones that are tested', () => {
  assert.equal(data['resource.customizations.health.flashsale.dev_FlashSale'], textOf('health.lua'));
  assert.deepEqual(parse(data['resource.customizations.actions.flashsale.dev_FlashSale'] ?? ''), {
    'discovery.lua': textOf('actions/discovery.lua'),
    definitions: ['pause', 'resume'].map((name) => ({ name, 'action.lua': textOf(`actions/${name}/action.lua`) })),
  });
});

test('what the operator writes to workloads is no drift, of every kind that it scales', () => {
  for (const { group, kind } of [DEPLOYMENTS, STATEFUL_SETS]) {
    const ignored = parse(data[`resource.customizations.ignoreDifferences.${group}_${kind}`] ?? '') as unknown;
    assert.deepEqual(ignored, { managedFieldsManagers: [NAME] });
  }
});

test('counters that change while a sale is open do not make Argo CD look at the whole application', () => {
  const ignored = parse(data['resource.customizations.ignoreResourceUpdates.flashsale.dev_FlashSale'] ?? '') as unknown;
  assert.deepEqual(ignored, {
    jsonPointers: ['/status/items', '/status/scale', '/status/summary', '/status/gate'],
  });
});
