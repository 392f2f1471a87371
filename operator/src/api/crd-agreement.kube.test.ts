/** Random documents: the real API server and `parseFlashSale` accept the same ones. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { testKube } from '@flashsale/local/testing';
import fc from 'fast-check';
import { answerOf, openCluster, type Cluster } from './cluster.fixture.ts';
import { document, item, workload, type Spec } from './documents.fixture.ts';
import { parseFlashSale } from './flashsale.ts';

let cluster: Cluster;
before(async () => {
  cluster = await openCluster(await testKube());
});
after(() => cluster.close());

const corners = (...values: readonly unknown[]): fc.Arbitrary<unknown> => fc.constantFrom(...values);
const integer = corners(
  -1,
  0,
  1,
  2,
  1.5,
  64,
  65,
  10_000,
  10_001,
  1e9,
  1e9 + 1,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 53,
  '1',
  true,
);
const duration = fc.oneof(
  corners('0', '0s', '-0s', '+5m', '0.4ms', '0.5ms', '0.25ms0.25ms', '720h', '720h1ms', '719h60m', '1e3s', '1d'),
  corners(
    '5 m',
    '9999999999h',
    '.5s',
    '1.s',
    '1us',
    '1h1h',
    '2m\n',
    '',
    'm',
    '1.5h',
    '٣s',
    120,
    '0.00001h',
    '9'.repeat(40),
  ),
  fc
    .array(fc.tuple(fc.integer({ min: 0, max: 2000 }), corners('h', 'm', 's', 'ms')), { minLength: 1, maxLength: 3 })
    .map((parts) => parts.flat().join('')),
);
const instant = fc.oneof(
  corners('2026-02-29T10:00:00Z', '2024-02-29T10:00:00Z', '2026-12-01T10:00:00.123456Z', '2026-12-01 10:00:00Z'),
  corners('1969-12-31T23:59:59.999Z', '1970-01-01T00:00:00Z', '2026-12-01T24:00:00Z', '2026-12-01t10:00:00z'),
  corners('2026-12-01T10:00:60Z', '9999-12-31T23:59:59-23:59', '2026-12-01T10:00Z', '2026-12-01T10:00:00+24:00'),
  corners('0000-01-01T00:00:00Z', '2026-12-01T10:00:00.000+05:30', '', 'now', 0),
  fc
    .date({ min: new Date('2026-11-30T00:00:00Z'), max: new Date('2026-12-02T00:00:00Z'), noInvalidDate: true })
    .map((date) => date.toISOString()),
);
const short = fc.oneof(
  corners('', ' ', 'a', 'A', 'ä', 'a.b', 'a_b', '-a', 'a-', 'a b', 'a\n', 'a/v1', 'v1', 'apps/v1', 'x'.repeat(63)),
  corners('x'.repeat(64), 'x'.repeat(65), 'X'.repeat(250), '😀'.repeat(150), '😀'.repeat(201), 7, false),
  fc.string({ unit: 'grapheme-ascii', maxLength: 6 }),
);
const amount = fc.oneof(
  corners(
    '129.00',
    '129',
    '129.005',
    '129.0',
    '.5',
    '1.',
    '1e3',
    '-1',
    '+1',
    '1,00',
    '9'.repeat(12),
    '9'.repeat(11),
    12,
  ),
  fc.tuple(fc.nat(99), fc.stringMatching(/^(\.\d{0,4})?$/)).map((parts) => parts.join('')),
);
const currency = corners('EUR', 'USD', 'JPY', 'KWD', 'BHD', 'CLF', 'HUF', 'ISK', 'XAU', 'XYZ', 'eur', 'EURO', 'E');
const price = fc.record({ amount, currency });
const flag = corners(true, false, 'true', 0);

/** Where a document is changed, and to what. */
const CHANGES: readonly (readonly [path: string, value: fc.Arbitrary<unknown>])[] = [
  ['metadata.name', short],
  ['spec.opensAt', instant],
  ['spec.closesAt', instant],
  ['spec.paused', flag],
  ['spec.membersOnly', flag],
  ['spec.notReady', corners('Delay', 'Open', 'Abort', 'delay', '')],
  ['spec.payment', corners({}, { holdFor: '1s' }, { hold: '1s' }, [], 'x')],
  ['spec.payment.holdFor', duration],
  ['spec.warm.leadTime', duration],
  ['spec.warm.shards', integer],
  ['spec.warm.cache.ttl', duration],
  ['spec.warm.cache.pages', integer],
  ['spec.warm.cache.jitter', fc.oneof(corners(0, 1, 1.01, -0.1, '0.3'), fc.double({ min: 0, max: 1, noNaN: true }))],
  ['spec.items.1.sku', short],
  ['spec.items.1.title', short],
  ['spec.items.1.stock', integer],
  ['spec.items.1.perBuyer', integer],
  ['spec.items.1.price', price],
  ['spec.items.1.price', price],
  ['spec.items.1', corners(item(), item({ sku: 'SHOE' }), item({ colour: 'red' }), {}, 'shoe')],
  ['spec.items', corners([], [item()], {}, [item(), item()])],
  ['spec.scale.0.min', integer],
  ['spec.scale.0.max', integer],
  ['spec.scale.0.warm', integer],
  ['spec.scale.0.lag.topic', short],
  ['spec.scale.0.lag.group', short],
  ['spec.scale.0.lag.perReplica', integer],
  ['spec.scale.0.target.apiVersion', short],
  ['spec.scale.0.target.kind', short],
  ['spec.scale.0.target.name', short],
  [
    'spec.scale.1',
    corners(workload(), workload({ min: 0, target: { apiVersion: 'apps/v1', kind: 'Job', name: 'payments' } })),
  ],
  ['spec.colour', corners('red', 1)],
  ['spec.warm.cache.size', corners(1)],
];
const change = fc.constantFrom(...CHANGES).chain(([path, value]) => fc.tuple(fc.constant(path), value));
const changes = fc.array(change, { minLength: 1, maxLength: 3 });

function changed(namespace: string, made: readonly (readonly [string, unknown])[]): object {
  const scale = [workload()];
  const warm = { leadTime: '10m', shards: 4, cache: { ttl: '2m' } };
  const whole = structuredClone(document({ scale, warm, payment: {} }, namespace)) as unknown as Spec;
  for (const [path, value] of made) put(whole, path.split('.'), value);
  return whole;
}

/** Sets a member further in; nothing where an earlier change left no such part. */
function put(part: Spec, [name = '', ...rest]: readonly string[], value: unknown): void {
  if (rest.length === 0) part[name] = value;
  else if (typeof part[name] === 'object' && part[name] !== null) put(part[name] as Spec, rest, value);
}

test('a document is accepted by both, or refused by both', async () => {
  const seen = { accepted: 0, refused: 0 };
  await fc.assert(
    fc.asyncProperty(changes, async (made) => {
      const body = changed(cluster.namespace, made);
      const { problems } = parseFlashSale(JSON.stringify(body));
      const path = `${cluster.sales}?dryRun=All&fieldValidation=Strict`;
      const { refusal } = await answerOf(cluster.client.call({ method: 'POST', path, body }));
      seen[refusal === undefined ? 'accepted' : 'refused'] += 1;
      const words = `the API server: ${refusal ?? 'accepted'}\nparseFlashSale: ${JSON.stringify(problems)}`;
      assert.equal(refusal !== undefined, problems.length > 0, words);
    }),
    { numRuns: 150 },
  );
  assert.ok(seen.accepted > 15 && seen.refused > 15, `one-sided: ${JSON.stringify(seen)}`);
});
