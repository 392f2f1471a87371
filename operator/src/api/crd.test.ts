/** The CRD as it is committed: it teaches, and it stays within what Kubernetes takes for structural. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';
import { CRD_FILE } from './cluster.fixture.ts';
import { customResourceDefinition } from './crd.ts';
import type { Rule } from './cel.ts';

interface Schema {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly 'x-kubernetes-validations'?: readonly Rule[];
}
interface Crd {
  readonly spec: { readonly versions: readonly [{ readonly schema: { readonly openAPIV3Schema: Schema } }] };
}

const committed = parse(readFileSync(CRD_FILE, 'utf8')) as Crd;
const root = committed.spec.versions[0].schema.openAPIV3Schema;

/** Every part of a schema with its path. */
function* parts(schema: Schema, path = ''): Generator<readonly [string, Schema]> {
  yield [path, schema];
  for (const [name, child] of Object.entries(schema.properties ?? {})) yield* parts(child, `${path}.${name}`);
  if (schema.items) yield* parts(schema.items, `${path}[*]`);
}
const all = [...parts(root)];

test('the committed file is what the schema says', () => {
  assert.deepEqual(committed, JSON.parse(JSON.stringify(customResourceDefinition())));
});

test('every field is described, in sentences', () => {
  assert.ok(all.length > 60, `only ${all.length} fields`);
  for (const [path, { description = '' }] of all) {
    if (path === '.metadata' || path === '.apiVersion' || path === '.kind') continue;
    assert.match(description, /^[A-Z0-9].{5,}\.$/s, `${path}: ${description}`);
  }
});

test('every rule has words of its own, one line and short', () => {
  const rules = all.flatMap(([path, schema]) =>
    (schema['x-kubernetes-validations'] ?? []).map((rule) => ({ path, ...rule })),
  );
  assert.ok(rules.length > 20, `only ${rules.length} rules`);
  for (const { path, message } of rules) assert.match(message, /^[a-z].{9,150}$/, `${path}: ${message}`);
});

test('lists of objects say how they are merged', () => {
  for (const [path, schema] of all) {
    if (!schema.items?.properties) continue;
    assert.ok('x-kubernetes-list-type' in schema, path);
  }
});
