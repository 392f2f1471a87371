/** Each rule of the CRD, of CEL and of the schema, has a manifest that breaks it: the API server refuses it in the words asserted. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { testKube } from '@flashsale/local/testing';
import { BROKEN, type Broken } from './broken.fixture.ts';
import type { Rule } from './cel.ts';
import { openCluster, type Call, type Cause, type Cluster } from './cluster.fixture.ts';
import { customResourceDefinition } from './crd.ts';
import { document, item, SPEC, workload } from './documents.fixture.ts';
import { breaches, broken, fieldOf, type Breach, type Schema } from './schema-rules.fixture.ts';

type Part = Schema & { readonly 'x-kubernetes-validations'?: readonly Rule[] };
interface Crd {
  readonly spec: { readonly versions: readonly [{ readonly schema: { readonly openAPIV3Schema: Part } }] };
}
const root = (customResourceDefinition() as Crd).spec.versions[0].schema.openAPIV3Schema;

let cluster: Cluster;
before(async () => {
  cluster = await openCluster(await testKube());
});
after(() => cluster.close());

const MERGE = 'application/merge-patch+json';
const create = (body: object): Call => ({
  method: 'POST',
  path: `${cluster.sales}?dryRun=All&fieldValidation=Strict`,
  body,
});
const merge = (path: string, body: object): Call => ({ method: 'PATCH', path, body, contentType: MERGE });

function* rulesIn(part: Part, path = ''): Generator<string> {
  for (const { fieldPath = '', message } of part['x-kubernetes-validations'] ?? []) {
    yield `${path}${fieldPath}: ${message}`;
  }
  for (const [name, child] of Object.entries(part.properties ?? {})) yield* rulesIn(child, `${path}.${name}`);
  if (part.items) yield* rulesIn(part.items, `${path}[*]`);
}

test('each CEL rule has a manifest that breaks it, and each manifest has a rule', () => {
  assert.deepEqual(BROKEN.map(({ rule }) => rule).sort(), [...rulesIn(root)].sort());
});

/** A sale in `phase`, of which 4 of 10 shoes are sold or in payment. Resolves to its path. */
async function saleIn(phase: string): Promise<string> {
  const name = `in-${phase.toLowerCase()}`;
  const path = `${cluster.sales}/${name}`;
  // Several rules are about the same phase.
  await cluster.causes({ method: 'POST', path: cluster.sales, body: document(SPEC, cluster.namespace, name) });
  const items = [{ sku: 'shoe', stock: 10, free: 6, held: 1, sold: 3 }];
  await cluster.client.call(merge(`${path}/status`, { status: { phase, items } }));
  return path;
}

async function causesOf({ spec, name, phase }: Broken): Promise<Cause[]> {
  if (phase === undefined) return cluster.causes(create(document(spec, cluster.namespace, name)));
  return cluster.causes(merge(`${await saleIn(phase)}?dryRun=All`, { spec }));
}

for (const one of BROKEN) {
  test(`refused: ${one.rule}`, async () => {
    const causes = await causesOf(one);
    const said = JSON.stringify(causes);
    assert.ok(
      causes.some(({ field, message }) => field === one.field && message.endsWith(`": ${one.says}`)),
      `it says ${said}`,
    );
    // Its form may be said once more, as a pattern; of two that are the same, which one is the second.
    for (const { field } of causes) assert.ok(isWithin(field, one.field), `it also says ${said}`);
    const byRule = causes.filter(({ message }) => /^Invalid value: "(object|array|string)": /.test(message));
    assert.equal(byRule.length, 1, `it breaks other rules too: ${said}`);
  });
}

const isWithin = (field: string, whole: string): boolean => field === whole || field.startsWith(`${whole}[`);

const time = '2026-12-01T10:00:00Z';
/** Has every member there can be. */
const WHOLE = {
  spec: {
    ...{ opensAt: time, closesAt: '2026-12-01T10:30:00Z', paused: false, notReady: 'Delay', membersOnly: false },
    items: [item({ title: 'Shoe', perBuyer: 1 })],
    payment: { holdFor: '2m' },
    warm: { leadTime: '10m', shards: 4, cache: { ttl: '2m', jitter: 0.3, pages: 20 } },
    scale: [workload({ min: 0, warm: 0 })],
  },
  status: {
    ...{ phase: 'Closed', observedGeneration: 1, observedDigest: '', epoch: 1, message: '', gate: '', accepted: {} },
    conditions: [
      { type: 'Armed', status: 'True', reason: 'Armed', message: '', lastTransitionTime: time, observedGeneration: 1 },
    ],
    items: [{ sku: 'shoe', stock: 10, free: 6, held: 1, sold: 3 }],
    scale: [
      {
        ...{ target: 'Deployment/payments', lag: 0, desired: 1, ready: 1, before: 1, missing: false, heldBy: 'none' },
        ...{ scaleUpAt: time, askedAt: time, readySeconds: 1 },
      },
    ],
    summary: { stock: 10, sold: 3, lag: 0, ready: '1/1' },
    proof: {
      ...{ sale: 'drop', stock: 10, free: 7, held: 0, sold: 3, refunded: 0, oversold: 0, doubleBuyers: 0 },
      ...{ unsettled: 0, holds: false, problems: ['one'] },
    },
  },
};

const of = (part: 'spec' | 'status'): Breach[] => {
  const schema = root.properties?.[part];
  assert.ok(schema);
  return [...breaches(schema, WHOLE[part], [part])];
};

/** Asserts that the breach is refused for what it is, and for nothing elsewhere. */
async function assertRefused(breach: Breach, call: Call): Promise<void> {
  const { path, keyword, words } = breach;
  const causes = await cluster.causes(call);
  const field = fieldOf(path);
  const said = `${field}, ${keyword}: ${JSON.stringify(causes)}`;
  const found = causes.find(({ message }) => words.test(message));
  assert.ok(found, said);
  // What the decoder says names the field in its words.
  assert.ok(found.field === field || isWithin(found.field, field) || found.message.includes(`"${field}"`), said);
  for (const cause of causes) {
    const isNote = cause.message.includes('some validation rules were not checked');
    assert.ok(isNote || cause === found || isWithin(cause.field, field), said);
  }
}

test('the whole document is accepted', async () => {
  assert.deepEqual(await cluster.causes(create(document(WHOLE.spec, cluster.namespace))), []);
});

for (const breach of of('spec')) {
  test(`refused: ${fieldOf(breach.path)} against ${breach.keyword}`, async () => {
    const { spec } = broken(WHOLE, breach) as { spec: object };
    const whole = document({}, cluster.namespace);
    await assertRefused(breach, create({ ...whole, spec }));
  });
}

test('a status that breaks a rule of its schema is refused', async (t) => {
  const name = 'with-status';
  const path = `${cluster.sales}/${name}`;
  await cluster.client.call({ ...create(document(SPEC, cluster.namespace, name)), path: cluster.sales });
  const put = `${path}/status?dryRun=All&fieldValidation=Strict`;
  assert.deepEqual(await cluster.causes(merge(put, { status: WHOLE.status })), []);
  for (const breach of of('status')) {
    await t.test(`${fieldOf(breach.path)} against ${breach.keyword}`, async () => {
      const { status } = broken(WHOLE, breach) as { status: object };
      await assertRefused(breach, merge(put, { status }));
    });
  }
});
