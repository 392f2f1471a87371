/** The platform with Kubernetes, as a user types it: up, a sale by kubectl, a rush, its deletion, down. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { killAll } from '../supervisor/leftovers.ts';
import { freePort } from '../ports.ts';
import { eventually } from './test-platform.ts';

const BIN = join(import.meta.dirname, '../../bin/flashsale.mjs');
const SALE = 'by-kubectl';
const run = promisify(execFile);
let home: string;
let env: NodeJS.ProcessEnv;
let data: string;
let stderr = '';
let exited: Promise<unknown>;

/** Rejects where the command ends with another code than 0. */
const flashsale = async (...args: string[]): Promise<string> =>
  (await run(process.execPath, [BIN, ...args], { env })).stdout;
const kubectl = (...args: string[]): Promise<string> => flashsale('kubectl', ...args);
const ofSale = (path: string): Promise<string> =>
  kubectl('get', 'fsale', SALE, '--namespace=shop', `--output=jsonpath={${path}}`);
const replicas = (): Promise<string> =>
  kubectl('get', 'deployment/payments', '--namespace=shop', '--output=jsonpath={.status.readyReplicas}');

before(async () => {
  home = await mkdtemp(join(tmpdir(), 'flashsale-e2e-'));
  data = join(home, 'data-kubernetes');
  env = { ...process.env, FLASHSALE_HOME: home, KUBECONFIG: join(home, 'none') };
  const port = await freePort();
  const args = [BIN, 'up', '--kubernetes', '--port', String(port)];
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  exited = once(child, 'exit');
  const ready = once(createInterface({ input: child.stdout }), 'line') as Promise<[string]>;
  const [line] = await Promise.race([ready, exited.then(() => assert.fail(`it ended:\n${stderr}`))]);
  assert.equal(line, `ready http://127.0.0.1:${port}`);
});
after(async () => {
  // Only where a test failed is there anything left.
  await killAll(data);
  await rm(home, { recursive: true, force: true });
});

function saleOf(stock: number): string {
  const [opensAt, closesAt] = [8_000, 900_000].map((ms) => new Date(Date.now() + ms).toISOString());
  const target = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'payments' };
  const spec = {
    opensAt,
    closesAt,
    items: [{ sku: 'shoe', stock, perBuyer: 1, price: { amount: '129.00', currency: 'EUR' } }],
    warm: { shards: 2 },
    scale: [{ target, max: 4, warm: 2, lag: { topic: 'flashsale.purchases', group: 'payments', perReplica: 500 } }],
  };
  const metadata = { name: SALE, namespace: 'shop' };
  return JSON.stringify({ apiVersion: 'flashsale.dev/v1', kind: 'FlashSale', metadata, spec });
}

test('it says how kubectl finds it, and kubectl explains a FlashSale', async () => {
  const kubeconfig = join(data, 'kubernetes/kubeconfig');
  await eventually('the line for kubectl', 5_000, () =>
    Promise.resolve(stderr.includes(`export KUBECONFIG=${kubeconfig}\n`) ? true : undefined),
  );
  assert.match(await kubectl('explain', 'flashsale.spec.opensAt'), /FIELD: opensAt <string>/);
});

test('a sale that kubectl applies warms, opens and sells, and its proof holds', { timeout: 180_000 }, async () => {
  const file = join(home, 'sale.json');
  await writeFile(file, saleOf(20));
  assert.equal(await kubectl('apply', '-f', file), `flashsale.flashsale.dev/${SALE} created\n`);
  await kubectl('wait', 'fsale', SALE, '--namespace=shop', '--for=jsonpath={.status.phase}=Armed', '--timeout=60s');
  // The warm replicas are processes that run, each behind a pod.
  assert.equal(await ofSale('.status.scale[0].ready'), '2');
  assert.equal(await replicas(), '2');
  await kubectl('wait', 'fsale', SALE, '--namespace=shop', '--for=jsonpath={.status.phase}=Open', '--timeout=60s');
  const rush = JSON.parse(await flashsale('rush', SALE, '--buyers', '40', '-o', 'json')) as Record<string, unknown>;
  assert.deepEqual([rush['sold'], rush['errors'], rush['unsettled']], [20, 0, 0]);
  const proof = JSON.parse(await flashsale('proof', SALE, '-o', 'json')) as Record<string, unknown>;
  assert.deepEqual([proof['holds'], proof['sold']], [true, 20]);
  await kubectl('wait', 'fsale', SALE, '--namespace=shop', '--for=jsonpath={.status.summary.sold}=20', '--timeout=60s');
});

test('what kubectl applied, flashsale shows and changes; both refuse in words', { timeout: 60_000 }, async () => {
  assert.match(await flashsale('get'), new RegExp(`^NAME .*\\n${SALE} +Open +\\S+ +20 +20 `));
  const fewer = join(home, 'fewer.json');
  const text = await kubectl('get', 'fsale', SALE, '--namespace=shop', '--output=json');
  const { apiVersion, kind, spec } = JSON.parse(text) as {
    apiVersion: string;
    kind: string;
    spec: { items: object[] };
  };
  const withStock = (stock: number): Promise<void> => {
    const items = spec.items.map((item) => ({ ...item, stock }));
    const document = { apiVersion, kind, metadata: { name: SALE, namespace: 'shop' }, spec: { ...spec, items } };
    return writeFile(fewer, JSON.stringify(document));
  };
  await withStock(5);
  await assert.rejects(kubectl('apply', '-f', fewer), /write at least/);
  await assert.rejects(flashsale('apply', '-f', fewer), /write at least 20/);
  await withStock(25);
  assert.equal(await flashsale('apply', '-f', fewer), `flashsale.flashsale.dev/${SALE} configured\n`);
  await kubectl('wait', 'fsale', SALE, '--namespace=shop', '--for=jsonpath={.status.items[0].free}=5', '--timeout=60s');
});

test('kubectl delete comes back when the sale is settled; down ends all', { timeout: 180_000 }, async () => {
  const deleted = await kubectl('delete', 'fsale', SALE, '--namespace=shop', '--timeout=90s');
  assert.match(deleted, new RegExp(`^flashsale.flashsale.dev "${SALE}" deleted`));
  assert.equal(await flashsale('get'), 'No FlashSales found.\n');
  await flashsale('down');
  await exited;
});
