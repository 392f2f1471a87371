/** For each CEL rule of the CRD a manifest, or a change of one, that breaks this rule and no other, and what is said of it. */
import type { Phase } from '@flashsale/sale';
import { item, workload, type Spec } from './documents.fixture.ts';

export interface Broken {
  /** The part of the schema that the rule hangs on, the field that it names, and its message without values. */
  readonly rule: string;
  /** The members that are set over those of SPEC. */
  readonly spec: Spec;
  /** The name of the sale, where it is that what is wrong. */
  readonly name?: string;
  /** The phase of the sale that is changed; a sale is created where absent. */
  readonly phase?: Phase;
  readonly field: string;
  readonly says: string;
}

const hat = item({ sku: 'hat', stock: 5, perBuyer: 2 });
const ON = 'Open, Draining, Closed, Aborted';
const price = (amount: string, currency: string): Spec => ({ items: [item({ price: { amount, currency } })] });
const scaled = (change: Spec): Spec => ({ scale: [workload(change)] });
const target = (change: Spec): Spec =>
  scaled({ target: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'payments', ...change } });
const lag = (change: Spec): Spec =>
  scaled({ lag: { topic: 'flashsale.purchases', group: 'payments', perReplica: 500, ...change } });
const label = 'use at most 63 lower-case letters, digits and "-", with a letter or digit at both ends';
const TIME = 'write a time such as 2026-12-01T10:00:00Z';

/** The three rules of a duration; `wrong` puts one into a spec. */
function durations(path: string, example: string, wrong: (text: string) => Spec): Broken[] {
  const [rule, field] = [`.${path}`, path];
  return [
    {
      rule: `${rule}: write a duration such as ${example}`,
      ...{ spec: wrong('soon'), field, says: '"soon" is no duration: write one such as 90s or 10m' },
    },
    {
      rule: `${rule}: write a duration of at most 720h`,
      ...{ spec: wrong('720h0.5ms'), field, says: 'write a duration of at most 720h' },
    },
  ];
}
const aboveZero = (path: string, wrong: (text: string) => Spec): Broken => ({
  rule: `.${path}: write a duration above 0, such as 2m`,
  ...{ spec: wrong('0.4ms'), field: path, says: 'write a duration above 0, such as 2m' },
});
const holdFor = (text: string): Spec => ({ payment: { holdFor: text } });
const leadTime = (text: string): Spec => ({ warm: { leadTime: text } });
const ttl = (text: string): Spec => ({ warm: { cache: { ttl: text } } });

const DOCUMENTS: readonly Broken[] = [
  { rule: `.metadata.name: ${label}`, spec: {}, name: 'a.b', field: 'metadata.name', says: label },
  {
    rule: '.spec.closesAt: write a time after opensAt',
    spec: { closesAt: '2026-12-01T10:00:00Z' },
    field: 'spec.closesAt',
    says: 'write a time after opensAt (2026-12-01T10:00:00Z)',
  },
  {
    rule: '.spec.items: a sku is in the list already: use another, or remove one',
    spec: { items: [item(), hat, item()] },
    field: 'spec.items',
    says: 'a sku is in the list already: use another, or remove one',
  },
  { rule: `.spec.opensAt: ${TIME}`, spec: { opensAt: '1969-12-31T23:59:59Z' }, field: 'spec.opensAt', says: TIME },
  {
    rule: '.spec.items[*].price.amount: write less: perBuyer units of it cost more than can be counted exactly',
    spec: { items: [item({ perBuyer: 1_000_000, price: { amount: '99999999999.99', currency: 'EUR' } })] },
    field: 'spec.items[0].price.amount',
    says: 'write less: perBuyer units of it cost more than can be counted exactly',
  },
  {
    rule: '.spec.items[*].sku: use 1 to 64 letters, digits, ".", "_" and "-", a letter or digit first',
    spec: { items: [item({ sku: 'a b' })] },
    field: 'spec.items[0].sku',
    says: 'use 1 to 64 letters, digits, ".", "_" and "-", a letter or digit first',
  },
  {
    rule: '.spec.items[*].price.amount: write at most 0 decimals',
    spec: price('1.5', 'JPY'),
    field: 'spec.items[0].price.amount',
    says: '"1.5" has more decimals than JPY: write 0',
  },
  {
    rule: '.spec.items[*].price.amount: write at most 2 decimals',
    spec: price('1.005', 'EUR'),
    field: 'spec.items[0].price.amount',
    says: '"1.005" has more decimals than EUR: write 2',
  },
  {
    rule: '.spec.items[*].price.amount: write the amount as a decimal string such as "129.00"',
    spec: price('1,5', 'EUR'),
    field: 'spec.items[0].price.amount',
    says: 'write the amount as a decimal string such as "129.00"',
  },
  {
    rule: '.spec.items[*].price.currency: write the three capitals of ISO 4217, such as EUR',
    spec: price('1.00', 'eur'),
    field: 'spec.items[0].price.currency',
    says: 'write the three capitals of ISO 4217, such as EUR',
  },
  ...durations('spec.payment.holdFor', '2m', holdFor),
  aboveZero('spec.payment.holdFor', holdFor),
  ...durations('spec.warm.leadTime', '10m', leadTime),
  ...durations('spec.warm.cache.ttl', '2m', ttl),
  aboveZero('spec.warm.cache.ttl', ttl),
  {
    rule: '.spec.scale: a target is in the list already: use another, or remove one',
    spec: { scale: [workload(), workload()] },
    field: 'spec.scale',
    says: 'a target is in the list already: use another, or remove one',
  },
  {
    rule: '.spec.scale[*].min: write at most max, or raise max',
    spec: scaled({ min: 51 }),
    field: 'spec.scale[0].min',
    says: 'write at most max (50), or raise max',
  },
  {
    rule: '.spec.scale[*].warm: write a number from min to max',
    spec: scaled({ warm: 1 }),
    field: 'spec.scale[0].warm',
    says: 'write a number from min (2) to max (50)',
  },
  {
    rule: '.spec.scale[*].target.apiVersion: write an API group and version, such as apps/v1',
    spec: target({ apiVersion: 'apps' }),
    field: 'spec.scale[0].target.apiVersion',
    says: 'write an API group and version, such as apps/v1',
  },
  {
    rule: '.spec.scale[*].target.kind: write the kind of a workload, such as Deployment',
    spec: target({ kind: 'deployment' }),
    field: 'spec.scale[0].target.kind',
    says: 'write the kind of a workload, such as Deployment',
  },
  {
    rule: `.spec.scale[*].target.name: ${label}`,
    spec: target({ name: 'Payments' }),
    field: 'spec.scale[0].target.name',
    says: label,
  },
  {
    rule: '.spec.scale[*].lag.topic: write a Kafka topic, such as flashsale.purchases',
    spec: lag({ topic: 'a topic' }),
    field: 'spec.scale[0].lag.topic',
    says: 'write a Kafka topic, such as flashsale.purchases',
  },
  {
    rule: '.spec.scale[*].lag.group: write a consumer group, such as payments',
    spec: lag({ group: 'a group' }),
    field: 'spec.scale[0].lag.group',
    says: 'write a consumer group, such as payments',
  },
];

/** Of a sale of 10 shoes, of which 4 are sold or in payment, and 5 hats. */
const CHANGES: readonly Broken[] = [
  {
    rule: `.spec.opensAt: keep what it was: the sale is Armed, ${ON}`,
    phase: 'Armed',
    spec: { opensAt: '2026-12-01T10:00:01Z' },
    field: 'spec.opensAt',
    says: 'keep 2026-12-01T10:00:00Z: the sale is Armed',
  },
  {
    rule: '.spec.closesAt: keep what it was: the sale is Draining, Closed, Aborted',
    phase: 'Draining',
    spec: { closesAt: '2026-12-01T10:31:00Z' },
    field: 'spec.closesAt',
    says: 'keep 2026-12-01T10:30:00Z: the sale is Draining',
  },
  {
    rule: `.spec.warm.shards: keep what it was: the sale is Warming, Armed, ${ON}`,
    phase: 'Warming',
    spec: { warm: { shards: 5 } },
    field: 'spec.warm.shards',
    says: 'keep 4: the sale is Warming',
  },
  {
    rule: `.spec.membersOnly: keep what it was: the sale is Warming, Armed, ${ON}`,
    phase: 'Warming',
    spec: { membersOnly: true },
    field: 'spec.membersOnly',
    says: 'keep false: the sale is Warming',
  },
  {
    rule: '.spec.items: keep the items: the sale is open or over',
    phase: 'Open',
    spec: { items: [item(), hat, item({ sku: 'bag' })] },
    field: 'spec.items',
    says: 'keep the items ["shoe", "hat"]: the sale is Open',
  },
  {
    rule: `.spec.items: keep perBuyer of each item: the sale is Warming, Armed, ${ON}`,
    phase: 'Warming',
    spec: { items: [item(), { ...hat, perBuyer: 3 }] },
    field: 'spec.items',
    says: 'keep perBuyer of ["hat"]: the sale is Warming',
  },
  {
    rule: '.spec.items: keep stock of each item: the sale is Draining, Closed, Aborted',
    phase: 'Closed',
    spec: { items: [item({ stock: 11 }), hat] },
    field: 'spec.items',
    says: 'keep stock of ["shoe"]: the sale is Closed',
  },
  {
    rule: '.spec.items: keep each item, and write at least as much stock as is sold or in payment; see status.items',
    phase: 'Open',
    spec: { items: [item({ stock: 3 }), hat] },
    field: 'spec.items',
    says: 'keep each item and write at least ["shoe: 4"]: so many are sold or in payment',
  },
];

export const BROKEN: readonly Broken[] = [...DOCUMENTS, ...CHANGES];
