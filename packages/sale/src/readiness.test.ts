/** The conditions: each one true where it should be, and telling what is missing where it is not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CONDITIONS, conditionsOf, firstObstacle, stockIsWarm } from './readiness.ts';
import type { Condition, ConditionType, SaleFacts } from './readiness.ts';
import { drop, ready } from './sale.fixture.ts';

const find = (facts: SaleFacts, type: ConditionType): Condition =>
  conditionsOf(facts).find(({ condition }) => condition === type) as Condition;
const level = (sku: string, change: object): SaleFacts['items'] =>
  new Map([...(ready.items ?? [])].map(([name, old]) => [name, name === sku ? { ...old, ...change } : old]));

test('all conditions, in their order', () => {
  assert.deepEqual(
    conditionsOf(ready).map(({ condition }) => condition),
    [...CONDITIONS],
  );
});

test('a sale that is ready has no obstacle', () => {
  assert.equal(firstObstacle(ready), undefined);
  assert.ok(stockIsWarm(ready));
});

test('a workload that lacks replicas for a known reason says so, and one that has them does not', () => {
  const message = 'HorizontalPodAutoscaler/payments looks after it';
  const scaling = new Map([['Deployment/payments', { reason: 'HeldByHPA' as const, message }]]);
  const short = find({ ...ready, readyReplicas: new Map([['Deployment/payments', 19]]), scaling }, 'ConsumersReady');
  assert.deepEqual([short.ok, short.reason], [false, 'HeldByHPA']);
  assert.equal(short.message, `Deployment/payments: 19 of 20 replicas are Ready; ${message}`);
  assert.equal(find({ ...ready, scaling }, 'ConsumersReady').ok, true);
});

const OBSTACLES: readonly (readonly [ConditionType, string, Partial<SaleFacts>, RegExp])[] = [
  [
    'Accepted',
    'Invalid',
    {
      problems: [
        { field: 'spec.items', message: 'list one' },
        { field: 'x', message: 'y' },
      ],
    },
    /^spec\.items: list one \(and 1 more\)$/,
  ],
  ['StockWarm', 'NotLoaded', { items: undefined }, /every shard/],
  ['StockWarm', 'NotLoaded', { items: new Map([...(ready.items ?? [])].slice(0, 1)) }, /^hat is not in Redis/],
  ['StockWarm', 'NotAllocated', { allocated: undefined }, /ledger/],
  ['StockWarm', 'Differs', { items: level('hat', { stock: 4, free: 4 }) }, /^hat: Redis has 4 units, the resource 5$/],
  ['StockWarm', 'NotConserved', { items: level('shoe', { free: 9 }) }, /^shoe: 9 free \+ 0 held \+ 0 sold is not 10$/],
  ['StockWarm', 'Differs', { allocated: new Map([['shoe', 10]]) }, /^hat: the ledger allows 0 units, the resource 5$/],
  ['CacheWarm', 'PagesMissing', { cachedPages: 21 }, /^21 of 22 hot pages are cached$/],
  [
    'CacheWarm',
    'PagesMissing',
    { cachedPages: 0, pagesNote: 'the catalog is down' },
    /^0 of 22 hot pages are cached; the catalog is down$/,
  ],
  [
    'ConsumersReady',
    'NotReady',
    { readyReplicas: new Map([['Deployment/payments', 3]]) },
    /^Deployment\/payments: 3 of 20 replicas/,
  ],
  ['ConsumersReady', 'NotFound', { readyReplicas: new Map() }, /no Deployment\/payments/],
];
for (const [condition, reason, change, message] of OBSTACLES) {
  test(`${condition} ${reason}: ${message.source}`, () => {
    const facts = { ...ready, ...change };
    const obstacle = firstObstacle(facts);
    assert.deepEqual([obstacle?.condition, obstacle?.ok, obstacle?.reason], [condition, false, reason]);
    assert.match(obstacle?.message ?? '', message);
    assert.deepEqual(find(facts, condition), obstacle);
    const armed = find(facts, 'Armed');
    assert.deepEqual([armed.ok, armed.reason, armed.message], [false, `${condition}Failed`, obstacle?.message]);
  });
}

test('Armed and Open follow the phase; a paused sale is not open', () => {
  const of = (phase: SaleFacts['phase'], paused = false): unknown[] => {
    const facts: SaleFacts = { ...ready, phase, sale: { ...drop, paused } };
    return [find(facts, 'Armed').ok, find(facts, 'Open').ok, find(facts, 'Paused').ok];
  };
  assert.deepEqual(of('Warming'), [false, false, false]);
  assert.deepEqual(of('Armed'), [true, false, false]);
  assert.deepEqual(of('Open'), [true, true, false]);
  assert.deepEqual(of('Open', true), [true, false, true]);
  assert.deepEqual(of('Closed'), [false, false, false]);
});

test('pages that nobody looked at are no reason to arm a sale', () => {
  const unseen = { ...ready, cachedPages: undefined };
  assert.equal(find(unseen, 'CacheWarm').ok, undefined);
  assert.equal(firstObstacle(unseen)?.condition, 'CacheWarm');
});

test('Conserved and Reconciled are unknown until there is something to judge', () => {
  assert.equal(find({ ...ready, items: undefined }, 'Conserved').ok, undefined);
  assert.equal(find(ready, 'Conserved').ok, true);
  assert.equal(find({ ...ready, items: level('shoe', { held: 1 }) }, 'Conserved').ok, false);
  assert.equal(find(ready, 'Reconciled').ok, undefined);
  assert.equal(find({ ...ready, proof: { holds: true, message: 'equal' } }, 'Reconciled').ok, true);
  assert.equal(find({ ...ready, proof: { holds: false, message: 'one lost' } }, 'Reconciled').message, 'one lost');
});
