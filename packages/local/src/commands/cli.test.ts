/** The command line as its users meet it: what it writes, what it refuses, and how plainly. No platform runs here. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parse } from 'yaml';
import { identityOf } from '../pid.ts';

const BIN = join(import.meta.dirname, '../../bin/flashsale.mjs');
const SAMPLE = join(import.meta.dirname, '../../samples/sneaker-drop.yaml');
const home = mkdtempSync(join(tmpdir(), 'flashsale-cli-'));
after(() => rmSync(home, { recursive: true, force: true }));

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

async function flashsale(args: readonly string[], input = '', at = home): Promise<Outcome> {
  const env = { ...process.env, FLASHSALE_HOME: at };
  const child = spawn(process.execPath, [BIN, ...args], { env, stdio: ['pipe', 'pipe', 'pipe'] });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  child.stdin.end(input);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, out, err };
}

/** A state file that says: this test's process is the platform, with its data in the returned folder. */
function pretendRunning(): string {
  const folder = mkdtempSync(join(home, 'platform-'));
  mkdirSync(join(folder, 'data/resources'), { recursive: true });
  const state = {
    pid: process.pid,
    process: identityOf(process.pid),
    dataDir: join(folder, 'data'),
    ports: {},
    urls: { EDGE_URL: 'http://127.0.0.1:1' },
    redisUrl: '',
    kafkaBrokers: '',
    postgresUrl: '',
    startedAt: new Date().toISOString(),
  };
  writeFileSync(join(folder, 'running.json'), JSON.stringify(state));
  return folder;
}

test('without a platform, each command that needs one says how to start it', async () => {
  for (const args of [['get'], ['apply', '-f', SAMPLE], ['delete', 'x'], ['down']]) {
    const { code, out, err } = await flashsale(args);
    assert.equal(code, 1, args.join(' '));
    assert.equal(out, '');
    assert.equal(err, 'flashsale: the platform is not running: start it with `npx flashsale up`\n');
  }
});

test('a state file of a process that is gone does not count', async () => {
  const folder = pretendRunning();
  const file = join(folder, 'running.json');
  const state = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  writeFileSync(file, JSON.stringify({ ...state, process: `${process.pid} 1 other-boot` }));
  assert.equal((await flashsale(['get'], '', folder)).code, 1);
});

test('apply creates, then finds nothing to do, then changes; get shows it', async () => {
  const folder = pretendRunning();
  const sample = readFileSync(SAMPLE, 'utf8');
  const apply = (text: string): Promise<Outcome> => flashsale(['apply', '-f', '-'], text, folder);
  assert.equal((await apply(sample)).out, 'flashsale.flashsale.dev/sneaker-drop created\n');
  assert.equal((await apply(sample)).out, 'flashsale.flashsale.dev/sneaker-drop unchanged\n');
  const more = sample.replace('stock: 1000', 'stock: 1500');
  assert.equal((await apply(more)).out, 'flashsale.flashsale.dev/sneaker-drop configured\n');
  const stored = parse(readFileSync(join(folder, 'data/resources/shop/sneaker-drop.yaml'), 'utf8')) as {
    spec: { items: { stock: number }[] };
  };
  assert.equal(stored.spec.items[0]?.stock, 1500);

  const { out } = await flashsale(['get'], '', folder);
  assert.match(
    out,
    /^NAME +PHASE +OPENS +STOCK +SOLD +LAG +READY +AGE\nsneaker-drop +Pending +\S+Z +1500 +0 +0 +0\/0 +\d+s\n$/,
  );
  const json = JSON.parse((await flashsale(['get', 'sneaker-drop', '-o', 'json'], '', folder)).out) as { kind: string };
  assert.equal(json.kind, 'FlashSale');
  assert.match((await flashsale(['get', 'other'], '', folder)).err, /there is no FlashSale "other"/);
});

test('apply refuses what is wrong, names the field, and writes nothing of the file', async () => {
  const folder = pretendRunning();
  const sample = readFileSync(SAMPLE, 'utf8');
  const bad = sample.replace('name: sneaker-drop', 'name: second').replace('stock: 1000', 'stocks: 1000');
  const { code, err } = await flashsale(['apply', '-f', '-'], `${sample}---\n${bad}`, folder);
  assert.equal(code, 1);
  assert.match(err, /^flashsale: the FlashSale "second" is invalid:\n(.*\n)*.*stocks/);
  assert.equal((await flashsale(['get'], '', folder)).out, 'No FlashSales found.\n');
  const elsewhere = sample.replace('namespace: shop', 'namespace: other');
  await flashsale(['apply', '-f', '-'], sample, folder);
  assert.match((await flashsale(['apply', '-f', '-'], elsewhere, folder)).err, /is in namespace shop/);
  assert.match((await flashsale(['apply', '-f', 'missing.yaml'], '', folder)).err, /cannot read missing.yaml/);
  assert.match((await flashsale(['apply', '-f', '-'], '', folder)).err, /holds no document/);
});

test('apply keeps to the rules of the phase the sale is in', async () => {
  const folder = pretendRunning();
  const sample = readFileSync(SAMPLE, 'utf8');
  await flashsale(['apply', '-f', '-'], sample, folder);
  const file = join(folder, 'data/resources/shop/sneaker-drop');
  const { accept } = await import('@flashsale/operator/accept');
  const text = readFileSync(`${file}.yaml`, 'utf8');
  const { status } = accept({ namespace: 'shop', name: 'sneaker-drop', text, status: undefined, deleting: false });
  writeFileSync(`${file}.status.json`, JSON.stringify({ ...status, phase: 'Armed' }));
  const moved = sample.replace(/opensAt: .*/, 'opensAt: "2026-12-01T09:00:00Z"');
  const { code, err } = await flashsale(['apply', '-f', '-'], moved, folder);
  assert.equal(code, 1);
  assert.match(err, /spec\.opensAt: keep 2026-12-01T10:00:00\.000Z: the sale is Armed/);
});

test('up says why it cannot start', async () => {
  const folder = pretendRunning();
  assert.match((await flashsale(['up'], '', folder)).err, /already runs at http:\/\/127\.0\.0\.1:1/);
  assert.match((await flashsale(['up', '--port', '0'])).err, /a port is 1 to 65535/);
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const { code, out, err } = await flashsale(['up', '--port', String(port), '--data', join(home, 'busy')]);
  server.close();
  assert.equal(code, 1);
  assert.equal(out, '');
  assert.match(err, new RegExp(`port ${port} is in use: choose another with --port`));
});

test('a data folder is of a platform with Kubernetes or of one without', async () => {
  const folder = pretendRunning();
  const pods = await flashsale(['kubectl', 'get', 'pods', '-A'], '', folder);
  assert.match(pods.err, /runs without Kubernetes: start it with `npx flashsale up --kubernetes`/);
  const data = join(home, 'of-kubernetes');
  mkdirSync(join(data, 'kubernetes'), { recursive: true });
  const { code, err } = await flashsale(['up', '--data', data]);
  assert.equal(code, 1);
  assert.match(err, /of-kubernetes is of a platform with Kubernetes: choose another folder with --data/);
});

test('lag-replicas answers cases, and says what is not one', async () => {
  const options = {
    lagThreshold: 10,
    activationLagThreshold: 0,
    offsetResetPolicy: 'latest',
    allowIdleConsumers: false,
    limitToPartitionsWithLag: false,
    excludePersistentLag: false,
    ensureEvenDistributionOfPartitions: false,
    scaleToZeroOnInvalidOffset: false,
  };
  const partitions = [{ committed: 0, latest: 15 }];
  const one = { id: 'a', mode: 'keda', partitions, options, currentReplicas: 1, minReplicas: 0, maxReplicas: 9 };
  const { code, out } = await flashsale(['lag-replicas'], JSON.stringify([one]));
  assert.equal(code, 0);
  const [answer] = JSON.parse(out) as { id: string; active: boolean }[];
  assert.equal(answer?.id, 'a');
  assert.equal(answer.active, true);
  assert.match((await flashsale(['lag-replicas'], '{}')).err, /must be a JSON array/);
  assert.match((await flashsale(['lag-replicas'], 'no')).err, /is not JSON/);
});
