/** zod to structural schemas: what is kept, what is dropped, and what is refused instead of being lost. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { structural } from './structural.ts';

const one = (schema: z.ZodType): unknown =>
  structural(z.strictObject({ one: schema }).describe('All.')).properties?.['one'];

test('an object loses what says that it is closed, and keeps what is required', () => {
  const schema = z.strictObject({
    name: z.string().min(1).max(3).regex(/^a/).describe('Its name.'),
    kind: z.enum(['A', 'B']).default('A').describe('Its kind.'),
    more: z.array(z.boolean().describe('Or not.')).max(2).optional().describe('Its flags.'),
  });
  assert.deepEqual(structural(schema.describe('A thing.')), {
    type: 'object',
    description: 'A thing.',
    required: ['name'],
    properties: {
      name: { type: 'string', minLength: 1, maxLength: 3, pattern: '^a', description: 'Its name.' },
      kind: { type: 'string', enum: ['A', 'B'], default: 'A', description: 'Its kind.' },
      more: {
        type: 'array',
        maxItems: 2,
        items: { type: 'boolean', description: 'Or not.' },
        description: 'Its flags.',
      },
    },
  });
});

test('members of an object that is filled in are filled in, too', () => {
  const inner = z.strictObject({ size: z.int().min(0).max(9).default(3).describe('Its size.') });
  assert.deepEqual(one(inner.prefault({}).describe('It.')), {
    type: 'object',
    default: {},
    description: 'It.',
    properties: {
      size: { type: 'integer', format: 'int32', minimum: 0, maximum: 9, default: 3, description: 'Its size.' },
    },
  });
});

const FORMATS: readonly (readonly [string, z.ZodType, string])[] = [
  ['a small integer', z.int().min(0).max(2_147_483_647), 'int32'],
  ['a large integer', z.int().min(0).max(2_147_483_648), 'int64'],
  ['an integer without bounds', z.int(), 'int64'],
  ['a number', z.number(), 'double'],
];
for (const [name, schema, format] of FORMATS) {
  test(`${name} is ${format}`, () => {
    const made = one(schema.describe('It.')) as { format: string };
    assert.equal(made.format, format);
  });
}

test('metadata for Kubernetes goes along', () => {
  const made = one(z.string().meta({ 'x-kubernetes-validations': [] }).describe('It.'));
  assert.deepEqual(made, { type: 'string', 'x-kubernetes-validations': [], description: 'It.' });
});

const REFUSED: readonly (readonly [string, z.ZodType, RegExp])[] = [
  ['a part without a description', z.string(), /\.one: describe it/],
  ['an item without a description', z.array(z.string()).describe('It.'), /\.one\[\*\]: describe it/],
  ['a union', z.union([z.string(), z.int()]).describe('It.'), /\.one\.anyOf cannot stand/],
  ['two patterns', z.string().regex(/a/).regex(/b/).describe('It.'), /\.one\.allOf cannot stand/],
  ['anything', z.unknown().describe('It.'), /\.one: a structural schema needs one type/],
  ['an exclusive bound', z.number().gt(0).describe('It.'), /\.one\.exclusiveMinimum cannot stand/],
];
for (const [name, schema, message] of REFUSED) {
  test(`${name} is refused, and the part is named`, () => {
    assert.throws(() => one(schema), message);
  });
}
