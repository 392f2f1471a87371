/** FlashSale documents for tests: one that is good, and ways to make it bad, each with what is said about it. */
import type { FlashSale } from './flashsale.ts';

export type Spec = Record<string, unknown>;

export const item = (change: Spec = {}): Spec => ({
  sku: 'shoe',
  stock: 10,
  price: { amount: '129.00', currency: 'EUR' },
  ...change,
});
export const workload = (change: Spec = {}): Spec => ({
  target: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'payments' },
  min: 2,
  max: 50,
  warm: 20,
  lag: { topic: 'flashsale.purchases', group: 'payments', perReplica: 500 },
  ...change,
});
const lag = (change: Spec): Spec => ({
  scale: [workload({ lag: { topic: 'flashsale.purchases', group: 'payments', perReplica: 500, ...change } })],
});
const target = (change: Spec): Spec => ({
  scale: [workload({ target: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'payments', ...change } })],
});
const price = (amount: string, currency: string): Spec => ({ items: [item({ price: { amount, currency } })] });

export const SPEC: Spec = {
  opensAt: '2026-12-01T10:00:00Z',
  closesAt: '2026-12-01T10:30:00Z',
  items: [item(), item({ sku: 'hat', stock: 5, perBuyer: 2 })],
};

export const document = (spec: Spec, namespace = 'shop', name = 'drop'): FlashSale =>
  ({
    apiVersion: 'flashsale.dev/v1',
    kind: 'FlashSale',
    metadata: { name, namespace },
    spec: { ...SPEC, ...spec },
  }) as unknown as FlashSale;

/** A change of the spec, the field that is named, and the words that the API server and `parseFlashSale` share. */
export const BAD: readonly (readonly [name: string, change: Spec, field: string, words: RegExp])[] = [
  ['an opening in words', { opensAt: 'tomorrow' }, 'spec.opensAt', /date-time|write a time such as/],
  ['an opening on 30 February', { opensAt: '2026-02-30T10:00:00Z' }, 'spec.opensAt', /date-time|write a time such as/],
  ['a time without a zone', { opensAt: '2026-12-01T10:00:00' }, 'spec.opensAt', /date-time|write a time such as/],
  ['an opening before 1970', { opensAt: '1970-01-01T00:00:00+05:00' }, 'spec.opensAt', /write a time such as 2026/],
  ['a microsecond', { closesAt: '2026-12-01T10:30:00.000001Z' }, 'spec.closesAt', /should match|write a time such as/],
  [
    'a closing at the opening',
    { closesAt: '2026-12-01T11:00:00+01:00' },
    'spec.closesAt',
    /write a time after opensAt \(2026-12-01T10:00:00(\.000)?Z\)/,
  ],
  [
    'a price beyond what can be counted for so many',
    { items: [item({ perBuyer: 1_000_000, price: { amount: '99999999999.99', currency: 'EUR' } })] },
    'spec.items',
    /write less: perBuyer units of it cost more than can be counted exactly/,
  ],
  ['no items', { items: [] }, 'spec.items', /at least 1 items|>=1 items/],
  [
    'a sku twice',
    { items: [item(), item({ sku: 'hat' }), item()] },
    'spec.items',
    /(a sku|sku shoe) is .+ already: use another, or remove one/,
  ],
  ['a sku with a blank', { items: [item({ sku: 'a b' })] }, 'spec.items[0].sku', /use 1 to 64 letters, digits/],
  ['no stock', { items: [item({ stock: 0 })] }, 'spec.items[0].stock', /greater than or equal to 1|>=1/],
  ['half a unit', { items: [item({ stock: 1.5 })] }, 'spec.items[0].stock', /type integer: "number"|expected int/],
  [
    'too much stock',
    { items: [item({ stock: 1_000_000_001 })] },
    'spec.items[0].stock',
    /less than or equal to|<=1000000000/,
  ],
  ['no limit', { items: [item({ perBuyer: 0 })] }, 'spec.items[0].perBuyer', /greater than or equal to 1|>=1/],
  ['no price', { items: [{ sku: 'shoe', stock: 1 }] }, 'spec.items[0].price', /Required|expected object/],
  [
    'a price in words',
    price('ten', 'EUR'),
    'spec.items[0].price.amount',
    /write the amount as a decimal string such as/,
  ],
  ['a price below zero', price('-1.00', 'EUR'), 'spec.items[0].price.amount', /write the amount as a decimal string/],
  ['half a cent', price('1.005', 'EUR'), 'spec.items[0].price.amount', /"1.005" has more decimals than EUR: write 2/],
  ['parts of a yen', price('1.5', 'JPY'), 'spec.items[0].price.amount', /"1.5" has more decimals than JPY: write 0/],
  ['a small currency', price('1.00', 'eur'), 'spec.items[0].price.currency', /write the three capitals of ISO 4217/],
  [
    'a hold in words',
    { payment: { holdFor: 'soon' } },
    'spec.payment.holdFor',
    /"soon" is no duration: write one such as/,
  ],
  ['a hold below zero', { payment: { holdFor: '-2m' } }, 'spec.payment.holdFor', /"-2m" is no duration/],
  ['no time to pay', { payment: { holdFor: '0s' } }, 'spec.payment.holdFor', /write a duration above 0, such as 2m/],
  ['a hold of months', { payment: { holdFor: '2000h' } }, 'spec.payment.holdFor', /write a duration of at most 720h/],
  ['a day', { warm: { leadTime: '1d' } }, 'spec.warm.leadTime', /"1d" is no duration/],
  [
    'no life in the cache',
    { warm: { cache: { ttl: '0' } } },
    'spec.warm.cache.ttl',
    /write a duration above 0, such as 2m/,
  ],
  ['jitter above one', { warm: { cache: { jitter: 1.1 } } }, 'spec.warm.cache.jitter', /less than or equal to 1|<=1/],
  ['pages below zero', { warm: { cache: { pages: -1 } } }, 'spec.warm.cache.pages', /greater than or equal to 0|>=0/],
  ['no shards', { warm: { shards: 0 } }, 'spec.warm.shards', /greater than or equal to 1|>=1/],
  ['too many shards', { warm: { shards: 65 } }, 'spec.warm.shards', /less than or equal to 64|<=64/],
  ['another policy', { notReady: 'Wait' }, 'spec.notReady', /"Delay", "Open", "Abort"|"Delay"\|"Open"\|"Abort"/],
  ['min above max', { scale: [workload({ min: 51 })] }, 'spec.scale[0].min', /write at most max \(50\), or raise max/],
  [
    'warm below min',
    { scale: [workload({ warm: 1 })] },
    'spec.scale[0].warm',
    /write a number from min \(2\) to max \(50\)/,
  ],
  [
    'warm above max',
    { scale: [workload({ warm: 51 })] },
    'spec.scale[0].warm',
    /write a number from min \(2\) to max \(50\)/,
  ],
  [
    'no replicas',
    { scale: [workload({ max: 0, min: 0, warm: 0 })] },
    'spec.scale[0].max',
    /greater than or equal to 1|>=1/,
  ],
  ['no lag a replica', lag({ perReplica: 0 }), 'spec.scale[0].lag.perReplica', /greater than or equal to 1|>=1/],
  ['no topic', lag({ topic: '' }), 'spec.scale[0].lag.topic', /write a Kafka topic, such as flashsale.purchases/],
  ['no group', lag({ group: '' }), 'spec.scale[0].lag.group', /write a consumer group, such as payments/],
  ['no target', target({ name: '' }), 'spec.scale[0].target.name', /use at most 63 lower-case letters/],
  [
    'a kind in small letters',
    target({ kind: 'deployment' }),
    'spec.scale[0].target.kind',
    /write the kind of a workload, such as/,
  ],
  ['a version without number', target({ apiVersion: 'apps' }), 'spec.scale[0].target.apiVersion', /such as apps\/v1/],
  [
    'a target twice',
    { scale: [workload(), workload()] },
    'spec.scale',
    /(a target|target Deployment\/payments) is .+ already: use another, or remove one/,
  ],
  ['an unknown field', { colour: 'red' }, 'spec', /unknown field "?(spec\.)?colour/],
  [
    'an unknown field further in',
    { warm: { cache: { time: '2m' } } },
    'spec.warm.cache',
    /unknown field "?(spec\.warm\.cache\.)?time/,
  ],
];
