/** The FlashSale document: what is filled in, and that every refusal names the field and says what to write instead. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { parseFlashSale } from './flashsale.ts';

const DOCUMENT = {
  apiVersion: 'flashsale.dev/v1',
  kind: 'FlashSale',
  metadata: { name: 'sneaker-drop', namespace: 'shop' },
  spec: {
    opensAt: '2026-12-01T10:00:00Z',
    closesAt: '2026-12-01T10:30:00Z',
    items: [{ sku: 'air-zero-42', stock: 5000, price: { amount: '129.00', currency: 'EUR' } }],
  },
};

/** The document with one part of the spec replaced. */
const withSpec = (spec: Record<string, unknown>): string =>
  stringify({ ...DOCUMENT, spec: { ...DOCUMENT.spec, ...spec } });
const problemsOf = (text: string): string[] =>
  parseFlashSale(text).problems.map(({ field, message }) => `${field}: ${message}`);

test('defaults are filled in and units are the domain’s', () => {
  const { sale, problems } = parseFlashSale(stringify(DOCUMENT));
  assert.deepEqual(problems, []);
  assert.deepEqual(sale, {
    name: 'sneaker-drop',
    namespace: 'shop',
    opensAt: Date.UTC(2026, 11, 1, 10),
    closesAt: Date.UTC(2026, 11, 1, 10, 30),
    paused: false,
    notReady: 'Delay',
    membersOnly: false,
    items: [
      { sku: 'air-zero-42', title: 'air-zero-42', stock: 5000, perBuyer: 1, price: { minor: 12900, currency: 'EUR' } },
    ],
    holdForMs: 120_000,
    warm: { leadTimeMs: 600_000, shards: 4, cache: { ttlMs: 120_000, jitter: 0.3, pages: 20 } },
    scale: [],
  });
});

const REFUSALS: readonly (readonly [name: string, text: string, problem: RegExp])[] = [
  ['text that is no YAML', 'a: [', /^: not valid YAML/],
  ['another kind', stringify({ ...DOCUMENT, kind: 'Sale' }), /^kind: /],
  ['an unknown field', withSpec({ colour: 'red' }), /^spec: unknown field colour: remove it/],
  [
    'a closing before the opening',
    withSpec({ closesAt: '2026-12-01T09:00:00Z' }),
    /^spec.closesAt: write a time after opensAt/,
  ],
  ['a time without a zone', withSpec({ opensAt: 'tomorrow' }), /^spec.opensAt: /],
  ['no items', withSpec({ items: [] }), /^spec.items: /],
  ['a sku twice', withSpec({ items: [...DOCUMENT.spec.items, ...DOCUMENT.spec.items] }), /sku air-zero-42 is at/],
  [
    'a duration in words',
    withSpec({ payment: { holdFor: 'soon' } }),
    /^spec.payment.holdFor: "soon" is no duration: write one such as/,
  ],
  [
    'half a cent',
    withSpec({ items: [{ sku: 'a', stock: 1, price: { amount: '1.005', currency: 'EUR' } }] }),
    /^spec.items.0.price.amount: .* write 2/,
  ],
  [
    'a name with capitals and spaces',
    stringify({ ...DOCUMENT, metadata: { name: 'Sneaker Drop' } }),
    /^metadata.name: use at most 63 lower-case/,
  ],
];

for (const [name, text, problem] of REFUSALS) {
  test(`refuses ${name}`, () => {
    const problems = problemsOf(text);
    assert.ok(
      problems.some((line) => problem.test(line)),
      problems.join('\n'),
    );
  });
}
