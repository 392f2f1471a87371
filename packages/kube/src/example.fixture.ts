import { createLogger } from '@flashsale/platform/log';
import { createKubeClient, loadKubeConfig } from '@flashsale/kube/client';
import { Controller } from '@flashsale/kube/controller';
import { Elector } from '@flashsale/kube/elector';
import { LEASES, type Lease } from '@flashsale/kube/lease';
import { keyOf, nameOf, type KubeObject } from '@flashsale/kube/object';
import { Reflector } from '@flashsale/kube/reflector';

type ConfigMap = KubeObject & { readonly data?: Readonly<Record<string, string>> };
const CONFIG_MAPS = { group: '', version: 'v1', plural: 'configmaps', kind: 'ConfigMap', namespaced: true };
const log = createLogger('copier');
const client = createKubeClient({ config: loadKubeConfig(), fieldManager: 'copier' });
const maps = client.resource<ConfigMap>(CONFIG_MAPS);
const originals = new Reflector({ name: 'originals', source: maps, labelSelector: 'copy=true', log });
const copier = new Controller({
  name: 'copier',
  log,
  reconcile: async (key) => {
    const { name, namespace = 'default' } = nameOf(key);
    const data = originals.store.get(key)?.data;
    if (data !== undefined) await maps.apply({ metadata: { name: `${name}-copy`, namespace }, data });
    return { requeueAfterMs: 10 * 60_000 };
  },
});
const enqueue = (map: ConfigMap): void => copier.queue.add(keyOf(map));
originals.subscribe({ added: enqueue, modified: enqueue });
const elector = new Elector({
  lease: { name: 'copier', namespace: process.env['NAMESPACE'] ?? 'default' },
  identity: `copier-${crypto.randomUUID()}`,
  api: client.resource<Lease>(LEASES),
  log,
  warm: () => originals.synced(),
  onLeading: () => void copier.start(),
  onLost: () => process.exit(1),
});
await originals.start();
await elector.start();
process.once('SIGTERM', () => {
  const parts = [() => copier.drain(), () => elector.stop(), () => originals.stop(), () => client.close()];
  void parts.reduce((before, end) => before.then(end), Promise.resolve());
});
