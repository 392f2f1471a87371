/** The example of the README is this program, and it works. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { LEASES, type Lease } from './lease.ts';
import { CONFIG_MAPS, testNamespace, type ConfigMap } from './namespace.fixture.ts';
import { Reflector } from './reflector.ts';
import { silent } from './world.fixture.ts';

const { kubeconfig, client, namespace, maps } = await testNamespace();
const PROGRAM = fileURLToPath(new URL('example.fixture.ts', import.meta.url));

test('the README shows the program as it is', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  assert.ok(readme.includes(readFileSync(PROGRAM, 'utf8')));
});

test('it copies, follows changes, and gives its lease back at the end', async () => {
  const seen = new Map<string, () => void>();
  const copies = new Reflector<ConfigMap>({
    name: 'copies',
    source: client.resource(CONFIG_MAPS),
    namespace,
    log: silent,
  });
  const tell = ({ metadata, data }: ConfigMap): void => seen.get(`${metadata.name}=${data?.['value'] ?? ''}`)?.();
  copies.subscribe({ added: tell, modified: tell });
  const copied = (what: string): Promise<void> => new Promise((done) => seen.set(what, done));
  await copies.start();
  const env = { ...process.env, KUBECONFIG: kubeconfig, NAMESPACE: namespace };
  const child = spawn(process.execPath, [PROGRAM], { env, stdio: ['ignore', 'ignore', 'inherit'] });
  after(() => child.kill('SIGKILL'));
  const first = copied('a-copy=one');
  await maps.create({ metadata: { name: 'a', namespace, labels: { copy: 'true' } }, data: { value: 'one' } });
  await first;
  const second = copied('a-copy=two');
  await maps.mergePatch({ name: 'a', namespace }, { data: { value: 'two' } });
  await second;
  child.kill('SIGTERM');
  const [code] = (await once(child, 'exit')) as [number | null];
  assert.equal(code, 0);
  const { spec } = await client.resource<Lease>(LEASES).get({ name: 'copier', namespace });
  assert.equal(spec?.holderIdentity, undefined);
  await copies.stop();
});
