// Makes gitops/argocd/argocd-cm.yaml of the Lua scripts beside it: what Argo CD knows of a FlashSale, for a cluster whose
// Argo CD was not built with the scripts.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';

const folder = join(dirname(fileURLToPath(import.meta.url)), '../gitops/argocd');
const target = join(folder, 'argocd-cm.yaml');
const scripts = join(folder, 'resource_customizations/flashsale.dev/FlashSale');
const SALE = 'flashsale.dev_FlashSale';
/** As the operator calls itself where it writes. */
const MANAGER = 'flashsale-operator';

const HEAD = `# What Argo CD knows of a FlashSale: its health, its actions, and what the operator changes that is no drift. To be merged
# into argocd-cm; see gitops/README.md. Generated from resource_customizations and scripts/generate-argocd.mjs by
# \`npm run generate\`. Do not edit.
`;

const yaml = (value) => stringify(value, { lineWidth: 0, blockQuote: 'literal' });
const read = (file) => readFileSync(join(scripts, file), 'utf8');

/** Every folder of actions with a script is an action of that name. */
function actions() {
  const entries = readdirSync(join(scripts, 'actions'), { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory() && entry.name !== 'testdata').map(({ name }) => name);
  return {
    'discovery.lua': read('actions/discovery.lua'),
    definitions: names.sort().map((name) => ({ name, 'action.lua': read(`actions/${name}/action.lua`) })),
  };
}

export function configMap() {
  const customizations = {
    [`health.${SALE}`]: read('health.lua'),
    [`actions.${SALE}`]: yaml(actions()),
    // Counters change twice a second while a sale is open. A change of its health, phase or message is noticed.
    [`ignoreResourceUpdates.${SALE}`]: yaml({
      jsonPointers: ['/status/items', '/status/scale', '/status/summary', '/status/gate'],
    }),
    // Replicas that the operator has set. Fields of anybody else stay in the diff.
    'ignoreDifferences.apps_Deployment': yaml({ managedFieldsManagers: [MANAGER] }),
    'ignoreDifferences.apps_StatefulSet': yaml({ managedFieldsManagers: [MANAGER] }),
  };
  const data = Object.entries(customizations).map(([key, value]) => [`resource.customizations.${key}`, value]);
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: 'argocd-cm',
      namespace: 'argocd',
      labels: { 'app.kubernetes.io/name': 'argocd-cm', 'app.kubernetes.io/part-of': 'argocd' },
    },
    data: Object.fromEntries(data),
  };
}

/** Writes the file; `verify`: throws where the committed one is another. */
export function generateArgoCd({ verify }) {
  const text = HEAD + yaml(configMap());
  if (!verify) writeFileSync(target, text);
  else if (readFileSync(target, 'utf8') !== text) {
    throw new Error('gitops/argocd/argocd-cm.yaml is not what its scripts say: run `npm run generate` and commit it.');
  }
}
