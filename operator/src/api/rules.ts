/** The rules of `checkSale` and `checkChange` in CEL: what the API server refuses, in the domain's words. */
import { currencyDigits, FROZEN_IN, type Phase } from '@flashsale/sale';
import { listOf, quote, type Rule } from './cel.ts';

export type { Rule } from './cel.ts';

/** As many digits as are exact in minor units, whatever the currency. */
export const AMOUNT = {
  pattern: /^\d{1,11}(\.\d{1,3})?$/,
  message: 'write the amount as a decimal string such as "129.00"',
};
export const API_VERSION = {
  pattern: /^([a-z0-9]([a-z0-9.-]*[a-z0-9])?\/)?v[0-9][a-z0-9]*$/,
  message: 'write an API group and version, such as apps/v1',
};
export const KIND = { pattern: /^[A-Z][A-Za-z0-9]*$/, message: 'write the kind of a workload, such as Deployment' };
export const TOPIC = { pattern: /^[A-Za-z0-9._-]+$/, message: 'write a Kafka topic, such as flashsale.purchases' };
export const GROUP = { pattern: /^[!-~]+$/, message: 'write a consumer group, such as payments' };

export const matches = (pattern: RegExp, message: string): Rule => ({
  rule: `self.matches(${quote(pattern.source)})`,
  message,
});

/** What `parseDuration` reads; Go reads all of it, too. */
export const DURATION = /^(0|(\d+(\.\d+)?(h|ms|m|s))+)$/;
const readable = `!self.matches(${quote(DURATION.source)}) || `;
export const isDuration = (example: string): Rule => ({
  rule: `self.matches(${quote(DURATION.source)})`,
  message: `write a duration such as ${example}`,
  messageExpression: `'"%s" is no duration: write one such as 90s or 10m'.format([self])`,
});
export const DURATION_TOO_LONG: Rule = {
  rule: `${readable}duration(self) <= duration('720h')`,
  message: 'write a duration of at most 720h',
};
/** Half a millisecond is rounded to a whole one. */
export const ABOVE_ZERO: Rule = {
  rule: `${readable}duration(self) >= duration('500us')`,
  message: 'write a duration above 0, such as 2m',
};

export const INSTANT_MESSAGE = 'write a time such as 2026-12-01T10:00:00Z';
export const AFTER_1970: Rule = { rule: 'self.getFullYear() >= 1970', message: INSTANT_MESSAGE };
export const CLOSES_AFTER_OPENING: Rule = {
  rule: 'self.closesAt > self.opensAt',
  message: 'write a time after opensAt',
  messageExpression: `'write a time after opensAt (%s)'.format([self.opensAt])`,
  fieldPath: '.closesAt',
};

/** `list` has each text once. A list of one list gives it a name; `indexOf` is one native step, so that this stays quick. */
const distinct = (list: string): string =>
  `[${list}].all(texts, texts.all(text, texts.indexOf(text) == texts.lastIndexOf(text)))`;
export const SKUS_DIFFER: Rule = {
  rule: distinct('self.items.map(item, item.sku)'),
  message: 'a sku is in the list already: use another, or remove one',
  fieldPath: '.items',
};
export const TARGETS_DIFFER: Rule = {
  rule: distinct("self.map(rule, rule.target.kind + '/' + rule.target.name)"),
  message: 'a target is in the list already: use another, or remove one',
};

export const MIN_UP_TO_MAX: Rule = {
  rule: 'self.min <= self.max',
  message: 'write at most max, or raise max',
  messageExpression: `'write at most max (%d), or raise max'.format([self.max])`,
  fieldPath: '.min',
};
export const WARM_WITHIN: Rule = {
  rule: 'self.min > self.max || (self.warm >= self.min && self.warm <= self.max)',
  message: 'write a number from min to max',
  messageExpression: `'write a number from min (%d) to max (%d)'.format([self.min, self.max])`,
  fieldPath: '.warm',
};

/** Every code there can be: the platform's own list of currencies lacks some that it knows the decimals of. */
function codes(): string[] {
  const letters = Array.from('ABCDEFGHIJKLMNOPQRSTUVWXYZ');
  return letters.flatMap((a) => letters.flatMap((b) => letters.map((c) => a + b + c)));
}

/** A price has no more decimals than its currency; two where the currency is not one that is known for another number. */
export function decimals(): Rule[] {
  const byDigits = Map.groupBy(codes(), currencyDigits);
  const rule = (digits: number, tooMany: string): Rule => ({
    rule: `!self.amount.matches(${quote(tooMany)})`,
    message: `write at most ${digits} decimals`,
    messageExpression: `'"%s" has more decimals than %s: write ${digits}'.format([self.amount, self.currency])`,
    fieldPath: '.amount',
  });
  const only = (found: Rule, currencies: readonly string[], not = ''): Rule => ({
    ...found,
    rule: `${not}(self.currency in ${listOf(currencies)}) || ${found.rule}`,
  });
  const none = byDigits.get(0) ?? [];
  const three = [...byDigits].filter(([digits]) => digits > 2).flatMap(([, currencies]) => currencies);
  return [only(rule(0, '\\.'), none, '!'), only(rule(2, '\\.[0-9]{3}$'), [...none, ...three].sort())];
}

/** `perBuyer` units of an item cost what a double counts exactly in minor units, or such a purchase could never be paid. */
export function exactAmount(): Rule {
  const byDigits = [...Map.groupBy(codes(), currencyDigits)].filter(([digits]) => digits !== 2);
  const factor = byDigits.reduce(
    (others, [digits, currencies]) => `(self.price.currency in ${listOf(currencies)} ? ${10 ** digits}.0 : ${others})`,
    '100.0',
  );
  const total = `double(self.price.amount) * ${factor} * double(self.perBuyer)`;
  return {
    rule: `!self.price.amount.matches(${quote(AMOUNT.pattern.source)}) || ${total} <= ${Number.MAX_SAFE_INTEGER}.0`,
    message: 'write less: perBuyer units of it cost more than can be counted exactly',
    fieldPath: '.price.amount',
  };
}

const isIn = (phases: readonly Phase[]): string =>
  `has(oldSelf.status) && has(oldSelf.status.phase) && oldSelf.status.phase in ${listOf(phases)}`;

/** A value that stays what it is in `phases`. */
function keep(field: string, phases: readonly Phase[]): Rule {
  return {
    rule: `self.${field} == oldSelf.${field} || !(${isIn(phases)})`,
    message: `keep what it was: the sale is ${phases.join(', ')}`,
    messageExpression: `'keep %s: the sale is %s'.format([oldSelf.${field}, oldSelf.status.phase])`,
    fieldPath: `.${field}`,
  };
}

// Items are looked up by the native `indexOf` in the list `skus`: a search in CEL takes seconds where a sale has many.
const SKUS = 'self.spec.items.map(item, item.sku)';
const OLD_SKUS = 'oldSelf.spec.items.map(item, item.sku)';
const SAME_LIMIT = '!(item.sku in skus) || oldSelf.spec.items[skus.indexOf(item.sku)].perBuyer == item.perBuyer';
const SAME_STOCK = '!(item.sku in skus) || oldSelf.spec.items[skus.indexOf(item.sku)].stock == item.stock';
const COVERED =
  'level.sold + level.held == 0 || (level.sku in skus && self.spec.items[skus.indexOf(level.sku)].stock >= level.sold + level.held)';

/** Cheap, and first in each rule that compares items: most writes are of the status. */
const SAME_ITEMS = 'self.spec.items == oldSelf.spec.items';

/** A member of each item that stays what it is in `phases`; `same` says so of one `item`. */
function keepOfItems(member: string, same: string, phases: readonly Phase[]): Rule {
  const changed = `[${OLD_SKUS}].map(skus, self.spec.items.filter(item, !(${same})).map(item, item.sku))[0]`;
  return {
    rule: `${SAME_ITEMS} || !(${isIn(phases)}) || [${OLD_SKUS}].all(skus, self.spec.items.all(item, ${same}))`,
    message: `keep ${member} of each item: the sale is ${phases.join(', ')}`,
    messageExpression: `'keep ${member} of %s: the sale is %s'.format([${changed}, oldSelf.status.phase])`,
    fieldPath: '.spec.items',
  };
}

/** Changes that are refused where the sale stands. At the root, so that spec and status are both in sight. */
export const CHANGES: readonly Rule[] = [
  keep('spec.opensAt', FROZEN_IN.opensAt),
  keep('spec.closesAt', FROZEN_IN.closesAt),
  keep('spec.warm.shards', FROZEN_IN.shards),
  keep('spec.membersOnly', FROZEN_IN.membersOnly),
  {
    rule: `${SAME_ITEMS} || !(${isIn(FROZEN_IN.items)}) || sets.equivalent(${SKUS}, ${OLD_SKUS})`,
    message: 'keep the items: the sale is open or over',
    messageExpression: `'keep the items %s: the sale is %s'.format([${OLD_SKUS}, oldSelf.status.phase])`,
    fieldPath: '.spec.items',
  },
  keepOfItems('perBuyer', SAME_LIMIT, FROZEN_IN.perBuyer),
  keepOfItems('stock', SAME_STOCK, FROZEN_IN.stock),
  {
    // What is sold is the truth, and status has to be written even where it is more than the spec: only changes of
    // the items are judged.
    rule: `${SAME_ITEMS} || !has(oldSelf.status) || !has(oldSelf.status.items) || [${SKUS}].all(skus, oldSelf.status.items.all(level, ${COVERED}))`,
    message: 'keep each item, and write at least as much stock as is sold or in payment; see status.items',
    messageExpression: `'keep each item and write at least %s: so many are sold or in payment'.format([[${SKUS}].map(skus, oldSelf.status.items.filter(level, !(${COVERED})).map(level, '%s: %d'.format([level.sku, level.sold + level.held])))[0]])`,
    fieldPath: '.spec.items',
  },
];
