/** The CRD on a real API server: it is accepted, fills in what zod fills in, and refuses what `parseFlashSale` refuses. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { kubectl } from '@flashsale/local/servers/kubectl';
import { testKube } from '@flashsale/local/testing';
import { stringify } from 'yaml';
import { answerOf, manifests, openCluster, type Cluster, type Manifest } from './cluster.fixture.ts';
import { customResourceDefinition } from './crd.ts';
import { BAD, document, item, SPEC, workload } from './documents.fixture.ts';
import { parseFlashSale, specSchema, type FlashSale } from './flashsale.ts';

const SAMPLES = new URL('../../samples/', import.meta.url);
const samples = readdirSync(SAMPLES).filter((name) => name.endsWith('.yaml'));

let cluster: Cluster;
before(async () => {
  cluster = await openCluster(await testKube());
});
after(() => cluster.close());

/** Asks for the creation as kubectl does, without creating. */
const create = (body: FlashSale | Manifest) =>
  answerOf(
    cluster.client.call<FlashSale>({
      method: 'POST',
      path: `${cluster.sales}?dryRun=All&fieldValidation=Strict`,
      body,
    }),
  );

test('the example is acceptable', async () => {
  assert.equal((await create(document({}, cluster.namespace))).refusal, undefined);
});

for (const [name, change, field, words] of BAD) {
  test(`${name} is refused by both, in words that help`, async () => {
    const bad = document(change, cluster.namespace);
    const said = parseFlashSale(stringify(bad)).problems.map((problem) => `${problem.field}: ${problem.message}`);
    const own = field.replaceAll(/\[(\d+)\]/g, '.$1');
    assert.ok(
      said.some((line) => line.startsWith(own) && words.test(line)),
      `parseFlashSale says ${said.join('\n')}`,
    );
    const { refusal = 'it was accepted' } = await create(bad);
    assert.ok(refusal.includes(field) && words.test(refusal), `the API server says ${refusal}`);
  });
}

for (const name of ['Drop', '-drop', 'a'.repeat(64), 'a.b']) {
  test(`${name} is no name of a sale`, async () => {
    const bad = document({}, cluster.namespace, name);
    const [problem] = parseFlashSale(stringify(bad)).problems;
    assert.equal(problem?.field, 'metadata.name');
    assert.match((await create(bad)).refusal ?? 'it was accepted', /metadata\.name/);
  });
}

for (const name of samples) {
  test(`the sample ${name} is applied, and filled in as zod does`, async () => {
    const [sample] = manifests(new URL(name, SAMPLES)) as unknown as [FlashSale];
    const { problems } = parseFlashSale(stringify(sample));
    assert.deepEqual(problems, []);
    const applied = await cluster.client.call<FlashSale>({
      method: 'PATCH',
      path: `${cluster.sales}/${sample.metadata.name}?fieldManager=tests&fieldValidation=Strict`,
      contentType: 'application/apply-patch+yaml',
      body: { ...sample, metadata: { name: sample.metadata.name } },
    });
    assert.deepEqual(applied.spec, specSchema.parse(sample.spec));
  });
}

test('the largest sale is accepted, and its largest change', async () => {
  const items = Array.from({ length: 256 }, (_, i) => item({ sku: `${i}`.padStart(64, 's'), perBuyer: 2 }));
  const scale = Array.from({ length: 32 }, (_, i) =>
    workload({ target: { apiVersion: 'apps/v1', kind: 'Deployment', name: `${i}`.padStart(63, 'w') } }),
  );
  const large = document({ items, scale }, cluster.namespace, 'large');
  const path = `${cluster.sales}/large`;
  await cluster.client.call({ method: 'POST', path: cluster.sales, body: large });
  const levels = items.map(({ sku }) => ({ sku, stock: 10, free: 1, held: 4, sold: 5 }));
  await cluster.client.call({
    method: 'PATCH',
    path: `${path}/status`,
    contentType: 'application/merge-patch+json',
    body: { status: { phase: 'Open', items: levels } },
  });
  const raised = [...items].reverse().map((one) => ({ ...one, stock: 11 }));
  const changed = await cluster.client.call<FlashSale>({
    method: 'PATCH',
    path,
    contentType: 'application/merge-patch+json',
    body: { spec: { items: raised } },
  });
  assert.equal(changed.spec.items[0]?.stock, 11);
});

const TYPES: Readonly<Record<string, string>> = { Stock: 'integer', Sold: 'integer', Lag: 'integer', Age: 'date' };

test('kubectl get shows where the sale is', async () => {
  await cluster.client.call({ method: 'POST', path: cluster.sales, body: document(SPEC, cluster.namespace, 'shown') });
  const summary = { stock: 15, sold: 7, lag: 1200, ready: '18/20' };
  await cluster.client.call({
    method: 'PATCH',
    path: `${cluster.sales}/shown/status`,
    contentType: 'application/merge-patch+json',
    body: { status: { phase: 'Open', summary } },
  });
  const { columnDefinitions, rows } = await cluster.table(`${cluster.sales}/shown`);
  assert.deepEqual(
    columnDefinitions.map(({ name, type }) => `${name} ${type}`),
    ['Name', 'Phase', 'Opens', 'Stock', 'Sold', 'Lag', 'Ready', 'Age'].map(
      (name) => `${name} ${TYPES[name] ?? 'string'}`,
    ),
  );
  for (const { name, description } of columnDefinitions) assert.match(description, /^[A-Z].+\./s, name);
  assert.deepEqual(rows[0]?.cells.slice(0, -1), ['shown', 'Open', '2026-12-01T10:00:00Z', 15, 7, 1200, '18/20']);
});

test('discovery knows the short name, the categories and the status subresource, and no scale', async () => {
  interface Found {
    readonly name: string;
    readonly shortNames?: readonly string[];
    readonly categories?: readonly string[];
  }
  const { resources } = await cluster.client.call<{ resources: readonly Found[] }>({
    method: 'GET',
    path: '/apis/flashsale.dev/v1',
  });
  assert.deepEqual(resources.map(({ name }) => name).sort(), ['flashsales', 'flashsales/status']);
  const found = resources.find(({ name }) => name === 'flashsales');
  assert.deepEqual([found?.shortNames, found?.categories], [['fsale'], ['all', 'flashsale']]);
});

/** What `kubectl explain --recursive` prints: each field with its description. */
function described(schema: Described, path: string): [string, string | undefined][] {
  const members = Object.entries(schema.properties ?? {});
  const inner = [...members, ...Object.entries(schema.items?.properties ?? {})];
  return [[path, schema.description], ...inner.flatMap(([name, child]) => described(child, `${path}.${name}`))];
}

interface Described {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Described>>;
  readonly items?: Described;
}

test('kubectl explain knows what is said of each field', async () => {
  const crd = customResourceDefinition() as {
    spec: { versions: [{ schema: { openAPIV3Schema: { properties: Record<'spec' | 'status', Described> } } }] };
  };
  const { spec, status } = crd.spec.versions[0].schema.openAPIV3Schema.properties;
  const wanted = [...described(spec, 'spec'), ...described(status, 'status')];
  assert.ok(wanted.length > 80 && wanted.every(([, words]) => words !== undefined), JSON.stringify(wanted));
  const until = Date.now() + 30_000;
  const published = async (): Promise<[string, string | undefined][]> => {
    const path = '/openapi/v3/apis/flashsale.dev/v1';
    const { object } = await answerOf(cluster.client.call<OpenApi>({ method: 'GET', path }));
    const sale = object?.components.schemas['dev.flashsale.v1.FlashSale']?.properties ?? {};
    return ['spec', 'status'].flatMap((name) => described(sale[name] ?? {}, name));
  };
  // The API server publishes the schema a moment after it serves the resource.
  let found = await published();
  while (!isDeepStrictEqual(found.toSorted(), wanted.toSorted()) && Date.now() < until) {
    await pause(100);
    found = await published();
  }
  assert.deepEqual(found.toSorted(), wanted.toSorted());
});

test('kubectl itself explains a field, and knows the short name and the categories', async () => {
  const kubeconfig = await testKube();
  const explained = await kubectl(kubeconfig, 'explain', 'fsale.spec.scale.lag.perReplica');
  assert.match(explained, /FIELD: perReplica <integer>/);
  assert.match(explained, /Records of lag one replica is meant to have\./);
  const name = 'by-kubectl';
  await cluster.client.call({ method: 'POST', path: cluster.sales, body: document(SPEC, cluster.namespace, name) });
  const namespace = `--namespace=${cluster.namespace}`;
  const shown = await kubectl(kubeconfig, 'get', 'fsale', name, namespace);
  assert.match(shown, /^NAME +PHASE +OPENS +STOCK +SOLD +LAG +READY +AGE\nby-kubectl +2026-12-01T10:00:00Z +\d+s\n$/);
  for (const category of ['all', 'flashsale']) {
    const found = await kubectl(kubeconfig, 'get', category, namespace, '--output=name');
    assert.match(found, /^flashsale\.flashsale\.dev\/by-kubectl$/m);
  }
});

interface OpenApi {
  readonly components: { readonly schemas: Readonly<Record<string, Described>> };
}
