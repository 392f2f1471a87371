/** The API server and etcd are killed and come back: the data is there, reflector and leader go on. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { freePort, startKube, type KubeServer } from '@flashsale/local/testing';
import { createKubeClient, KubeConfig, type KubeClient } from './client.ts';
import { Elector } from './elector.ts';
import { LEASES, type Lease } from './lease.ts';
import { CONFIG_MAPS, NAMESPACES } from './namespace.fixture.ts';
import { Reflector } from './reflector.ts';
import { silent } from './world.fixture.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'flashsale-kube-'));
const port = await freePort();
let server: KubeServer = await startKube({ dataDir, port, durable: false });
after(async () => {
  await server.kill();
  rmSync(dataDir, { recursive: true, force: true });
});

const WAIT_MS = 60_000;
const namespace = 'restart';

function connect(): KubeClient {
  const config = new KubeConfig();
  config.loadFromFile(server.kubeconfig);
  const client = createKubeClient({ config, fieldManager: 'restart' });
  after(() => client.close());
  return client;
}

test('killed and started again: nothing is lost, the reflector catches up, the leader leads on', async (t) => {
  const client = connect();
  await client.resource(NAMESPACES).create({ metadata: { name: namespace } });
  const maps = client.resource(CONFIG_MAPS);
  await maps.create({ metadata: { name: 'before', namespace } });
  const names: string[] = [];
  const arrived = Promise.withResolvers<undefined>();
  const reflector = new Reflector({ name: 'restart', source: maps, namespace, log: silent });
  reflector.subscribe({
    added: ({ metadata }) => {
      names.push(metadata.name);
      if (metadata.name === 'after') arrived.resolve(undefined);
    },
  });
  await reflector.start();
  await reflector.synced();
  const leading = Promise.withResolvers<undefined>();
  let lost = '';
  const elector = new Elector({
    lease: { name: 'leader', namespace },
    identity: 'one',
    api: client.resource<Lease>(LEASES),
    log: silent,
    // Longer than a restart under load takes.
    timing: { leaseMs: 3 * WAIT_MS, renewDeadlineMs: 2 * WAIT_MS, retryMs: 500 },
    onLeading: () => leading.resolve(undefined),
    onLost: (reason) => (lost = reason),
  });
  await elector.start();
  await leading.promise;

  await server.kill();
  const from = performance.now();
  server = await startKube({ dataDir, port, durable: false });
  t.diagnostic(`the API server is back after ${Math.round(performance.now() - from)} ms`);
  await maps.create({ metadata: { name: 'after', namespace } });
  const timer = setTimeout(() => arrived.reject(new Error('the reflector has not caught up')), WAIT_MS);
  await arrived.promise;
  clearTimeout(timer);
  t.diagnostic(`the reflector has caught up after ${Math.round(performance.now() - from)} ms`);
  assert.equal(new Set(names).size, names.length, `told twice: ${names.join(', ')}`);
  assert.ok(names.includes('before'));
  assert.deepEqual([elector.leads(), lost], [true, '']);
  await elector.stop();
  await reflector.stop();
  const { spec } = await client.resource<Lease>(LEASES).get({ name: 'leader', namespace });
  assert.equal(spec?.holderIdentity, undefined);
});

test('its controllers end a namespace with all that is in it', async () => {
  const namespaces = connect().resource(NAMESPACES);
  const name = 'to-end';
  const ended = Promise.withResolvers<undefined>();
  const reflector = new Reflector({ name: 'namespaces', source: namespaces, log: silent });
  reflector.subscribe({ deleted: ({ metadata }) => metadata.name === name && ended.resolve(undefined) });
  await reflector.start();
  await reflector.synced();
  await namespaces.create({ metadata: { name } });
  await connect()
    .resource(CONFIG_MAPS)
    .create({ metadata: { name: 'in-it', namespace: name } });
  await namespaces.remove({ name });
  const timer = setTimeout(() => ended.reject(new Error('the namespace has not ended')), WAIT_MS);
  await ended.promise;
  clearTimeout(timer);
  await reflector.stop();
});
