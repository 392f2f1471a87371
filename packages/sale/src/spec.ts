/** Which sales are acceptable, and which changes to one. Each problem names the field and says what to write instead. */
import type { Phase, Sale, SaleItem, ScaleRule } from './types.ts';

/** `field` is the path in the FlashSale resource, such as `spec.items.0.sku`. */
export interface SaleProblem {
  readonly field: string;
  readonly message: string;
}

/** Most items, scaled workloads and units: far above any real sale, low enough that every counter stays exact. */
export const SALE_LIMITS = { items: 256, scale: 32, units: 1_000_000_000, shards: 64, pages: 10_000 } as const;

/** Texts of a fixed form, and what to write where one has another. */
export const SALE_FORMS = {
  label: {
    pattern: /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
    message: 'use at most 63 lower-case letters, digits and "-", with a letter or digit at both ends',
  },
  sku: {
    pattern: /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
    message: 'use 1 to 64 letters, digits, ".", "_" and "-", a letter or digit first',
  },
  currency: { pattern: /^[A-Z]{3}$/, message: 'write the three capitals of ISO 4217, such as EUR' },
} as const;

type Checked = readonly [bad: boolean, field: string, message: string];
const problemsIn = (checks: readonly Checked[]): SaleProblem[] =>
  checks.filter(([bad]) => bad).map(([, field, message]) => ({ field, message }));

const whole = (value: number, from: number, to: number = Number.MAX_SAFE_INTEGER): boolean =>
  Number.isSafeInteger(value) && value >= from && value <= to;
const iso = (ms: number): string => (Number.isFinite(ms) ? new Date(ms).toISOString() : 'not a time');

/** Everything wrong with a sale on its own. Empty: acceptable. */
export function checkSale(sale: Sale): SaleProblem[] {
  return [
    ...nameProblems(sale),
    ...windowProblems(sale),
    ...sale.items.flatMap(itemProblems),
    ...duplicates(
      sale.items.map((item) => item.sku),
      (at) => `spec.items.${at}.sku`,
      'sku',
    ),
    ...warmProblems(sale),
    ...sale.scale.flatMap(scaleProblems),
    ...duplicates(
      sale.scale.map(({ target }) => `${target.kind}/${target.name}`),
      (at) => `spec.scale.${at}.target`,
      'target',
    ),
  ];
}

function nameProblems({ name, namespace, items, scale }: Sale): SaleProblem[] {
  const label = SALE_FORMS.label.message;
  return problemsIn([
    [!SALE_FORMS.label.pattern.test(name), 'metadata.name', label],
    [!SALE_FORMS.label.pattern.test(namespace), 'metadata.namespace', label],
    [items.length === 0, 'spec.items', 'list at least one item'],
    [
      items.length > SALE_LIMITS.items,
      'spec.items',
      `list at most ${SALE_LIMITS.items} items; put the others into a second sale`,
    ],
    [scale.length > SALE_LIMITS.scale, 'spec.scale', `list at most ${SALE_LIMITS.scale} workloads`],
  ]);
}

function windowProblems({ opensAt, closesAt, holdForMs }: Sale): SaleProblem[] {
  const form = 'write a time such as 2026-12-01T10:00:00Z';
  return problemsIn([
    [!whole(opensAt, 0), 'spec.opensAt', form],
    [!whole(closesAt, 0), 'spec.closesAt', form],
    [closesAt <= opensAt, 'spec.closesAt', `write a time after opensAt (${iso(opensAt)})`],
    [!whole(holdForMs, 1), 'spec.payment.holdFor', 'write a duration above 0, such as 2m'],
  ]);
}

function itemProblems({ sku, stock, perBuyer, price }: SaleItem, at: number): SaleProblem[] {
  const path = `spec.items.${at}`;
  const units = `write a whole number from 1 to ${SALE_LIMITS.units}`;
  return problemsIn([
    [!SALE_FORMS.sku.pattern.test(sku), `${path}.sku`, SALE_FORMS.sku.message],
    [!whole(stock, 1, SALE_LIMITS.units), `${path}.stock`, units],
    [!whole(perBuyer, 1, SALE_LIMITS.units), `${path}.perBuyer`, units],
    [!whole(price.minor, 0), `${path}.price.amount`, 'write an amount from 0, such as "129.00"'],
    // A purchase of as many units must have an exact amount, or it could never be paid.
    [
      whole(price.minor, 0) && whole(perBuyer, 1, SALE_LIMITS.units) && !whole(price.minor * perBuyer, 0),
      `${path}.price.amount`,
      'write less: perBuyer units of it cost more than can be counted exactly',
    ],
    [!SALE_FORMS.currency.pattern.test(price.currency), `${path}.price.currency`, SALE_FORMS.currency.message],
  ]);
}

function warmProblems({ warm: { leadTimeMs, shards, cache } }: Sale): SaleProblem[] {
  return problemsIn([
    [!whole(leadTimeMs, 0), 'spec.warm.leadTime', 'write a duration from 0, such as 10m'],
    [!whole(shards, 1, SALE_LIMITS.shards), 'spec.warm.shards', `write a whole number from 1 to ${SALE_LIMITS.shards}`],
    [!whole(cache.ttlMs, 1), 'spec.warm.cache.ttl', 'write a duration above 0, such as 2m'],
    [!(cache.jitter >= 0 && cache.jitter <= 1), 'spec.warm.cache.jitter', 'write a number from 0 to 1, such as 0.3'],
    [
      !whole(cache.pages, 0, SALE_LIMITS.pages),
      'spec.warm.cache.pages',
      `write a whole number from 0 to ${SALE_LIMITS.pages}`,
    ],
  ]);
}

function scaleProblems({ target, min, max, warm, lag }: ScaleRule, at: number): SaleProblem[] {
  const path = `spec.scale.${at}`;
  return problemsIn([
    [target.kind === '', `${path}.target.kind`, 'write the kind of a workload, such as Deployment'],
    [target.name === '', `${path}.target.name`, 'write the name of a workload, such as payments'],
    [!whole(min, 0), `${path}.min`, 'write a whole number from 0'],
    [!whole(max, 1), `${path}.max`, 'write a whole number from 1'],
    [min > max, `${path}.min`, `write at most max (${max}), or raise max`],
    [!whole(warm, 0), `${path}.warm`, 'write a whole number from 0'],
    [min <= max && (warm < min || warm > max), `${path}.warm`, `write a number from min (${min}) to max (${max})`],
    [lag.topic === '', `${path}.lag.topic`, 'write a Kafka topic, such as flashsale.purchases'],
    [lag.group === '', `${path}.lag.group`, 'write a consumer group, such as payments'],
    [!whole(lag.perReplica, 1), `${path}.lag.perReplica`, 'write a whole number from 1'],
  ]);
}

function duplicates(values: readonly string[], path: (at: number) => string, what: string): SaleProblem[] {
  return values.flatMap((value, at) => {
    const first = values.indexOf(value);
    if (first === at) return [];
    return [{ field: path(at), message: `${what} ${value} is at ${path(first)} already: use another, or remove one` }];
  });
}

/** Where the sale stands when its resource changes. */
export interface ChangeContext {
  readonly phase: Phase;
  /** Units sold or in payment, by sku. */
  readonly taken: ReadonlyMap<string, number>;
}

const WARM: readonly Phase[] = ['Warming', 'Armed', 'Open', 'Draining', 'Closed', 'Aborted'];
const ARMED: readonly Phase[] = ['Armed', 'Open', 'Draining', 'Closed', 'Aborted'];
const OPEN: readonly Phase[] = ['Open', 'Draining', 'Closed', 'Aborted'];
const OVER: readonly Phase[] = ['Draining', 'Closed', 'Aborted'];

/** The phases in which a part of the resource can no longer change. */
export const FROZEN_IN = {
  opensAt: ARMED,
  closesAt: OVER,
  stock: OVER,
  shards: WARM,
  membersOnly: WARM,
  perBuyer: WARM,
  items: OPEN,
} as const;

/** What forbids going from `old` to `next` where the sale stands. `next` must be valid on its own; see `checkSale`. */
export function checkChange(old: Sale, next: Sale, { phase, taken }: ChangeContext): SaleProblem[] {
  const keep = (was: string | number | boolean): string => `keep ${was}: the sale is ${phase}`;
  return [
    ...problemsIn([
      [next.opensAt !== old.opensAt && FROZEN_IN.opensAt.includes(phase), 'spec.opensAt', keep(iso(old.opensAt))],
      [next.closesAt !== old.closesAt && FROZEN_IN.closesAt.includes(phase), 'spec.closesAt', keep(iso(old.closesAt))],
      // Keys, buyers' marks and limits were laid out by these; a warm sale cannot be dealt out anew.
      [
        next.warm.shards !== old.warm.shards && FROZEN_IN.shards.includes(phase),
        'spec.warm.shards',
        keep(old.warm.shards),
      ],
      [
        next.membersOnly !== old.membersOnly && FROZEN_IN.membersOnly.includes(phase),
        'spec.membersOnly',
        keep(old.membersOnly),
      ],
      [
        !sameSkus(old, next) && FROZEN_IN.items.includes(phase),
        'spec.items',
        `keep the items ${skus(old)}: the sale is ${phase}`,
      ],
    ]),
    ...(FROZEN_IN.perBuyer.includes(phase) ? frozenMember('perBuyer', old, next, keep) : []),
    ...stockProblems(next, taken),
    ...(FROZEN_IN.stock.includes(phase) ? frozenMember('stock', old, next, keep) : []),
  ];
}

/** `member` of each item stays what it was: limits were laid out by it, or the proof counts against it. */
function frozenMember(
  member: 'perBuyer' | 'stock',
  old: Sale,
  next: Sale,
  keep: (was: number) => string,
): SaleProblem[] {
  return next.items.flatMap((item, at) => {
    const was = old.items.find(({ sku }) => sku === item.sku);
    if (!was || was[member] === item[member]) return [];
    return [{ field: `spec.items.${at}.${member}`, message: keep(was[member]) }];
  });
}

function stockProblems(next: Sale, taken: ReadonlyMap<string, number>): SaleProblem[] {
  return [...taken].flatMap(([sku, units]) => {
    const at = next.items.findIndex((item) => item.sku === sku);
    if (at < 0) {
      return units > 0 ? [{ field: 'spec.items', message: `keep ${sku}: ${units} of it are sold or in payment` }] : [];
    }
    if ((next.items[at]?.stock ?? 0) >= units) return [];
    return [{ field: `spec.items.${at}.stock`, message: `write at least ${units}: so many are sold or in payment` }];
  });
}

const skus = (sale: Sale): string => sale.items.map((item) => item.sku).join(', ');
function sameSkus(old: Sale, next: Sale): boolean {
  const names = new Set(old.items.map((item) => item.sku));
  return names.size === next.items.length && next.items.every((item) => names.has(item.sku));
}
