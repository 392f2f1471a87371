/** Changes of a sale in each phase: the real API server refuses what `checkChange` refuses, and nothing else. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { checkChange, PHASES, type Phase, type Sale } from '@flashsale/sale';
import { testKube } from '@flashsale/local/testing';
import { stringify } from 'yaml';
import { newStatus, statusSchema, type SaleStatus } from '../status.ts';
import { answerOf, openCluster, type Cluster } from './cluster.fixture.ts';
import { document, item, SPEC, type Spec } from './documents.fixture.ts';
import { parseFlashSale, type FlashSale } from './flashsale.ts';

const hat = item({ sku: 'hat', stock: 5, perBuyer: 2 });
/** A change, and the words that the API server shares with `checkChange`. */
const CHANGES: readonly (readonly [name: string, change: Spec, words: RegExp])[] = [
  ['a later opening', { opensAt: '2026-12-01T10:00:01Z' }, /keep 2026-12-01T10:00:00(\.000)?Z: the sale is /],
  ['the same opening elsewhere', { opensAt: '2026-12-01T11:00:00+01:00' }, /never/],
  ['a later closing', { closesAt: '2026-12-01T10:31:00Z' }, /keep 2026-12-01T10:30:00(\.000)?Z: the sale is /],
  ['a pause', { paused: true }, /never/],
  ['other shards', { warm: { shards: 5 } }, /keep 4: the sale is /],
  ['members only', { membersOnly: true }, /keep false: the sale is /],
  ['raised stock', { items: [item({ stock: 11 }), hat] }, /keep .*: the sale is /],
  ['stock down to what is taken', { items: [item({ stock: 4 }), hat] }, /keep .*: the sale is /],
  [
    'stock below what is taken',
    { items: [item({ stock: 3 }), hat] },
    /write at least .*4.*: so many are sold or in payment/,
  ],
  ['an item more', { items: [item(), hat, item({ sku: 'bag' })] }, /keep the items .*shoe.*, .*hat.*: the sale is /],
  ['an item less', { items: [item()] }, /keep the items .*shoe.*, .*hat.*: the sale is /],
  ['an item less, of which something is taken', { items: [hat] }, /shoe.*4.*(so many|of it) are sold or in payment/],
  ['items in another order', { items: [hat, item()] }, /never/],
  ['another limit', { items: [item(), { ...hat, perBuyer: 3 }] }, /keep .*: the sale is /],
];
const TAKEN = new Map([
  ['shoe', 4],
  ['hat', 0],
]);
const STATUS = [
  { sku: 'shoe', stock: 10, free: 6, held: 1, sold: 3 },
  { sku: 'hat', stock: 5, free: 5, held: 0, sold: 0 },
];

let cluster: Cluster;
before(async () => {
  cluster = await openCluster(await testKube());
});
after(() => cluster.close());

const merge = <T>(path: string, body: unknown): Promise<T> =>
  cluster.client.call<T>({ method: 'PATCH', path, contentType: 'application/merge-patch+json', body });
const parsed = (spec: Spec): Sale => {
  const { sale, problems } = parseFlashSale(stringify(document(spec)));
  assert.deepEqual(problems, []);
  return sale as Sale;
};
const nameOf = (phase: Phase): string => `in-${phase.toLowerCase()}`;

for (const phase of PHASES) {
  test(`changes of a sale that is ${phase}`, async (t) => {
    const path = `${cluster.sales}/${nameOf(phase)}`;
    await cluster.client.call({
      method: 'POST',
      path: cluster.sales,
      body: document(SPEC, cluster.namespace, nameOf(phase)),
    });
    await merge(`${path}/status`, { status: { phase, items: STATUS } });
    for (const [name, change, words] of CHANGES) {
      await t.test(name, async () => {
        const problems = checkChange(parsed({}), parsed(change), { phase, taken: TAKEN });
        const { refusal } = await answerOf(merge(`${path}?dryRun=All`, { spec: change }));
        assert.equal(refusal !== undefined, problems.length > 0, refusal ?? JSON.stringify(problems));
        if (refusal === undefined) return;
        assert.match(refusal, words);
        assert.ok(
          problems.some(({ message }) => words.test(message)),
          JSON.stringify(problems),
        );
        assert.ok(refusal.includes(problems[0]?.field.replace(/\.\d+.*/, '') ?? '-'), refusal);
      });
    }
  });
}

test('the first status has room for the operator to say all it knows, and is stored as it is written', async () => {
  await cluster.client.call({ method: 'POST', path: cluster.sales, body: document(SPEC, cluster.namespace, 'told') });
  const time = '2026-12-01T10:00:00.123Z';
  const status: SaleStatus = {
    ...newStatus,
    phase: 'Closed',
    observedGeneration: 3,
    observedDigest: 'a'.repeat(43),
    epoch: 2,
    conditions: [
      { type: 'Armed', status: 'True', reason: 'Ready', message: '', lastTransitionTime: time, observedGeneration: 3 },
    ],
    items: STATUS,
    scale: [{ target: 'Deployment/payments', lag: 5, desired: 3, ready: 2, before: 1 }],
    accepted: parsed({}),
    gate: 'closed',
    proof: {
      ...{ sale: 'told', stock: 15, free: 11, held: 0, sold: 4, refunded: 0, oversold: 0, doubleBuyers: 0 },
      ...{ unsettled: 0, holds: false, problems: ['one'] },
    },
  };
  const stored = await merge<FlashSale & { status: SaleStatus }>(
    `${cluster.sales}/told/status?fieldValidation=Strict`,
    { status },
  );
  assert.deepEqual(stored.status, status);
  assert.equal(statusSchema.safeParse(stored.status).success, true);
});

test('a status that is worse than the spec is written all the same, and a change of something else goes on', async () => {
  await cluster.client.call({
    method: 'POST',
    path: cluster.sales,
    body: document(SPEC, cluster.namespace, 'oversold'),
  });
  const path = `${cluster.sales}/oversold`;
  const items = [{ sku: 'shoe', stock: 10, free: 0, held: 0, sold: 12 }];
  await merge(`${path}/status`, { status: { phase: 'Open', items } });
  await merge(path, { spec: { paused: true } });
  await merge(`${path}/status`, { status: { phase: 'Open', items, message: 'paused' } });
  const { refusal } = await answerOf(merge(path, { spec: { items: [item({ stock: 11 }), hat] } }));
  assert.match(refusal ?? 'it was accepted', /write at least .*shoe: 12/);
});

test('a status in another phase than there is, or without words, is refused', async () => {
  await cluster.client.call({ method: 'POST', path: cluster.sales, body: document(SPEC, cluster.namespace, 'wrong') });
  const { refusal } = await answerOf(merge(`${cluster.sales}/wrong/status`, { status: { phase: 'Waiting' } }));
  assert.match(refusal ?? 'it was accepted', /status\.phase: Unsupported value: "Waiting"/);
});
