/** What is wrong with a sale or a change of one: the field, and what to write instead. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drop } from './sale.fixture.ts';
import { checkChange, checkSale } from './spec.ts';
import type { Phase, Sale, SaleItem, ScaleRule } from './types.ts';
import { PHASES } from './types.ts';

const shoe = drop.items[0] as SaleItem;
const hat = drop.items[1] as SaleItem;
const payments = drop.scale[0] as ScaleRule;
const item = (change: Partial<SaleItem>): Partial<Sale> => ({ items: [{ ...shoe, ...change }] });
const scale = (change: Partial<ScaleRule>): Partial<Sale> => ({ scale: [{ ...payments, ...change }] });
const warm = (change: Partial<Sale['warm']>): Partial<Sale> => ({ warm: { ...drop.warm, ...change } });
const cache = (change: Partial<Sale['warm']['cache']>): Partial<Sale> =>
  warm({ cache: { ...drop.warm.cache, ...change } });

test('the example is acceptable', () => assert.deepEqual(checkSale(drop), []));

test('little stock over many shards, free items and the longest names are acceptable', () => {
  const sale: Sale = {
    ...drop,
    ...item({ stock: 1, sku: 'A'.repeat(64), price: { minor: 0, currency: 'JPY' } }),
    name: 'a'.repeat(63),
  };
  assert.deepEqual(checkSale({ ...sale, warm: { ...drop.warm, shards: 64 } }), []);
});

const BAD: readonly (readonly [Partial<Sale>, string, RegExp])[] = [
  [{ name: 'Drop' }, 'metadata.name', /lower-case/],
  [{ name: 'a'.repeat(64) }, 'metadata.name', /63/],
  [{ name: '-drop' }, 'metadata.name', /both ends/],
  [{ namespace: 'a.b' }, 'metadata.namespace', /lower-case/],
  [{ items: [] }, 'spec.items', /at least one/],
  [{ items: Array.from({ length: 257 }, (_, i) => ({ ...shoe, sku: `s${i}` })) }, 'spec.items', /at most 256/],
  [{ closesAt: drop.opensAt }, 'spec.closesAt', /after opensAt \(1970-01-01T01:00:00\.000Z\)/],
  [{ opensAt: Number.NaN }, 'spec.opensAt', /2026-12-01T10:00:00Z/],
  [{ holdForMs: 0 }, 'spec.payment.holdFor', /such as 2m/],
  [item({ sku: '.hidden' }), 'spec.items.0.sku', /letter or digit first/],
  [item({ sku: 'a'.repeat(65) }), 'spec.items.0.sku', /1 to 64/],
  [item({ sku: 'a b' }), 'spec.items.0.sku', /letters/],
  [item({ stock: 0 }), 'spec.items.0.stock', /from 1/],
  [item({ stock: 1.5 }), 'spec.items.0.stock', /whole/],
  [item({ perBuyer: 0 }), 'spec.items.0.perBuyer', /from 1/],
  [item({ price: { minor: -1, currency: 'EUR' } }), 'spec.items.0.price.amount', /from 0/],
  [item({ perBuyer: 10, price: { minor: 1e15, currency: 'EUR' } }), 'spec.items.0.price.amount', /counted exactly/],
  [item({ price: { minor: 1, currency: 'eur' } }), 'spec.items.0.price.currency', /EUR/],
  [{ items: [shoe, hat, shoe] }, 'spec.items.2.sku', /shoe is at spec\.items\.0\.sku already/],
  [warm({ shards: 0 }), 'spec.warm.shards', /1 to 64/],
  [warm({ shards: 65 }), 'spec.warm.shards', /1 to 64/],
  [warm({ leadTimeMs: -1 }), 'spec.warm.leadTime', /such as 10m/],
  [cache({ ttlMs: 0 }), 'spec.warm.cache.ttl', /such as 2m/],
  [cache({ jitter: 1.1 }), 'spec.warm.cache.jitter', /0 to 1/],
  [cache({ pages: -1 }), 'spec.warm.cache.pages', /from 0/],
  [scale({ min: 51 }), 'spec.scale.0.min', /at most max \(50\)/],
  [scale({ warm: 1 }), 'spec.scale.0.warm', /min \(2\) to max \(50\)/],
  [scale({ warm: 51 }), 'spec.scale.0.warm', /min \(2\) to max \(50\)/],
  [scale({ max: 0, min: 0, warm: 0 }), 'spec.scale.0.max', /from 1/],
  [scale({ lag: { ...payments.lag, perReplica: 0 } }), 'spec.scale.0.lag.perReplica', /from 1/],
  [scale({ lag: { ...payments.lag, topic: '' } }), 'spec.scale.0.lag.topic', /such as flashsale\.purchases/],
  [scale({ lag: { ...payments.lag, group: '' } }), 'spec.scale.0.lag.group', /such as payments/],
  [scale({ target: { ...payments.target, name: '' } }), 'spec.scale.0.target.name', /such as payments/],
  [{ scale: [payments, payments] }, 'spec.scale.1.target', /Deployment\/payments is at spec\.scale\.0\.target already/],
];
for (const [change, field, message] of BAD) {
  test(`${field}: ${message.source}`, () => {
    const problems = checkSale({ ...drop, ...change });
    assert.deepEqual(
      problems.map((problem) => problem.field),
      [field],
    );
    assert.match(problems[0]?.message ?? '', message);
  });
}

const none = new Map<string, number>();
/** The phases in which a change is refused, and the field that is named. */
const CHANGES: readonly (readonly [string, Partial<Sale>, string, readonly Phase[]])[] = [
  ['the opening', { opensAt: drop.opensAt + 1 }, 'spec.opensAt', ['Armed', 'Open', 'Draining', 'Closed', 'Aborted']],
  ['the closing', { closesAt: drop.closesAt + 1 }, 'spec.closesAt', ['Draining', 'Closed', 'Aborted']],
  ['the pause', { paused: true }, '', []],
  ['raised stock', { items: [{ ...shoe, stock: 11 }, hat] }, 'spec.items.0.stock', ['Draining', 'Closed', 'Aborted']],
  [
    'an item more',
    { items: [shoe, hat, { ...shoe, sku: 'bag' }] },
    'spec.items',
    ['Open', 'Draining', 'Closed', 'Aborted'],
  ],
  ['an item less', { items: [shoe] }, 'spec.items', ['Open', 'Draining', 'Closed', 'Aborted']],
  ['the order of items', { items: [hat, shoe] }, '', []],
  ['the shards', warm({ shards: 5 }), 'spec.warm.shards', PHASES.filter((phase) => phase !== 'Scheduled')],
  ['members only', { membersOnly: true }, 'spec.membersOnly', PHASES.filter((phase) => phase !== 'Scheduled')],
  [
    'a limit',
    { items: [shoe, { ...hat, perBuyer: 3 }] },
    'spec.items.1.perBuyer',
    PHASES.filter((phase) => phase !== 'Scheduled'),
  ],
];
for (const [what, change, field, refusedIn] of CHANGES) {
  test(`a change of ${what} is refused in ${refusedIn.join(', ') || 'no phase'}`, () => {
    const next = { ...drop, ...change };
    for (const phase of PHASES) {
      const fields = checkChange(drop, next, { phase, taken: none }).map((problem) => problem.field);
      assert.deepEqual(fields, refusedIn.includes(phase) ? [field] : [], phase);
    }
  });
}

test('stock goes down to what is taken, not below', () => {
  const taken = new Map([['shoe', 4]]);
  const to = (stock: number): unknown =>
    checkChange(drop, { ...drop, items: [{ ...shoe, stock }, hat] }, { phase: 'Open', taken });
  assert.deepEqual(to(4), []);
  assert.deepEqual(to(3), [
    { field: 'spec.items.0.stock', message: 'write at least 4: so many are sold or in payment' },
  ]);
});

test('an item of which something is taken cannot be removed, whatever the phase', () => {
  const problems = checkChange(drop, { ...drop, items: [shoe] }, { phase: 'Warming', taken: new Map([['hat', 2]]) });
  assert.deepEqual(problems, [{ field: 'spec.items', message: 'keep hat: 2 of it are sold or in payment' }]);
});
