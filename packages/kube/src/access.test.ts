/** Which ways into a cluster are read without the official client, and that they come out as it reads them. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { RequestOptions } from 'node:https';
import { plainAccess } from './access.ts';
import { KubeConfig } from './client.ts';
import type { ClusterAccess } from './transport.ts';

const folder = mkdtempSync(join(tmpdir(), 'access-'));
after(() => rmSync(folder, { recursive: true }));
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const put = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};

type Fields = Readonly<Record<string, unknown>>;
const server = 'https://127.0.0.1:6443';

function kubeconfig(cluster: Fields, user: Fields): string {
  const config = {
    'current-context': 'two',
    contexts: [
      { name: 'one', context: { cluster: 'other', user: 'other' } },
      { name: 'two', context: { cluster: 'c', user: 'u' } },
    ],
    clusters: [
      { name: 'other', cluster: { server: 'https://other' } },
      { name: 'c', cluster: { server, ...cluster } },
    ],
    users: [
      { name: 'other', user: { token: 'of another' } },
      { name: 'u', user },
    ],
  };
  return put('config', JSON.stringify(config));
}

async function seen(access: ClusterAccess) {
  const options: RequestOptions = { headers: {} };
  await access.applyToHTTPSOptions(options);
  const { ca, cert, key, servername, rejectUnauthorized, headers } = options;
  const text = (value: unknown): unknown => (value instanceof Buffer ? value.toString() : value);
  return {
    server: access.getCurrentCluster()?.server,
    tls: [text(ca), text(cert), text(key), servername, rejectUnauthorized],
    headers,
  };
}

test('certificates and tokens, in the kubeconfig or in files, are read as the official client reads them', async () => {
  put('ca.crt', 'CA');
  const cases: readonly [Fields, Fields][] = [
    [{ 'certificate-authority-data': base64('CA') }, { token: 'secret' }],
    [{ 'certificate-authority': join(folder, 'ca.crt') }, { token: 'secret' }],
    [{ 'insecure-skip-tls-verify': true, 'tls-server-name': 'kubernetes' }, { token: 'secret' }],
    [
      { 'certificate-authority-data': base64('CA') },
      { 'client-certificate-data': base64('CERT'), 'client-key-data': base64('KEY') },
    ],
    [{}, {}],
  ];
  for (const [cluster, user] of cases) {
    const file = kubeconfig(cluster, user);
    const official = new KubeConfig();
    official.loadFromFile(file);
    const plain = plainAccess({ KUBECONFIG: file });
    assert.ok(plain);
    assert.deepEqual(await seen(plain), await seen(official), JSON.stringify([cluster, user]));
    let pools = 0;
    await plain.applySecurityAuthentication({ setDispatcher: () => (pools += 1), setHeaderParam: () => undefined });
    assert.equal(pools, 1);
  }
});

test('paths in a kubeconfig are relative to it', async () => {
  put('ca.crt', 'CA');
  put('token', 'of a file');
  const plain = plainAccess({ KUBECONFIG: kubeconfig({ 'certificate-authority': 'ca.crt' }, { tokenFile: 'token' }) });
  assert.ok(plain);
  const found = await seen(plain);
  assert.deepEqual([found.tls[0], found.headers], ['CA', { Authorization: 'Bearer of a file' }]);
});

test('the service account of a pod', async () => {
  put('ca.crt', 'CA');
  put('token', 'first\n');
  const plain = plainAccess({ KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' }, folder);
  assert.ok(plain);
  const found = await seen(plain);
  assert.deepEqual([found.server, found.tls[0]], ['https://[fd00::1]:443', 'CA']);
  assert.deepEqual(found.headers, { Authorization: 'Bearer first' });
});

test('everything else is left to the official client', () => {
  const file = (cluster: Fields, user: Fields) => ({ KUBECONFIG: kubeconfig(cluster, user) });
  assert.equal(plainAccess({}), undefined);
  assert.equal(plainAccess({ KUBECONFIG: '/one:/two' }), undefined);
  for (const [cluster, user] of [
    [{ 'proxy-url': 'http://proxy' }, { token: 't' }],
    [{}, { exec: { command: 'aws' } }],
    [{}, { 'auth-provider': { name: 'oidc' } }],
    [{}, { username: 'u', password: 'p' }],
  ] as const) {
    assert.equal(plainAccess(file(cluster, user)), undefined, JSON.stringify(user));
  }
  assert.equal(plainAccess({ ...file({}, { token: 't' }), https_proxy: 'http://proxy' }), undefined);
  assert.notEqual(plainAccess(file({}, { token: 't' })), undefined);
});
