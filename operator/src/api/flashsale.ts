/** The FlashSale resource (flashsale.dev/v1): its schema, and how a document becomes the domain's Sale. */
import {
  checkSale,
  currencyDigits,
  minorUnits,
  parseDuration,
  SALE_FORMS,
  SALE_LIMITS,
  type Sale,
  type SaleProblem,
} from '@flashsale/sale';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { rulesOf } from './cel.ts';
import * as rules from './rules.ts';

const MOST_DURATION_MS = 30 * 24 * 3_600_000;
const MOST_TITLE = 200;
const INT32 = 2_147_483_647;

/** A text of a fixed form. The form and the words for another one go into the CRD as well. */
const text = ({ pattern, message }: { pattern: RegExp; message: string }, most: number) =>
  z
    .string()
    .max(most)
    .regex(pattern, message)
    .meta(rulesOf(rules.matches(pattern, message)));
/** Names of Kubernetes objects may be longer and have dots; a sale's is part of keys, topics and addresses. */
export const label = text(SALE_FORMS.label, 63);

const durationOf = (words: string, example: string, ...more: readonly rules.Rule[]) =>
  z
    .string()
    .max(32)
    .refine((value) => (parseDuration(value) ?? 0) <= MOST_DURATION_MS, rules.DURATION_TOO_LONG.message)
    .meta({
      pattern: rules.DURATION.source,
      ...rulesOf(rules.isDuration(example), rules.DURATION_TOO_LONG, ...more),
      description: `${words} A Go-style duration such as 90s, 10m or 1h30m; at most 720h.`,
    });

/** RFC 3339, to the millisecond, which is all that the clock of the gate knows. */
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$/;
const instant = (words: string, ...more: readonly rules.Rule[]) =>
  z.iso
    .datetime({ offset: true, error: rules.INSTANT_MESSAGE })
    .refine((value) => INSTANT.test(value), rules.INSTANT_MESSAGE)
    .meta({
      pattern: INSTANT.source,
      ...(more.length > 0 && rulesOf(...more)),
      description: `${words} An RFC 3339 time such as 2026-12-01T10:00:00Z.`,
    });
const count = (words: string, from = 0, to = INT32) => z.int().min(from).max(to).describe(words);
const units = (words: string) => count(words, 1, SALE_LIMITS.units);

const itemSchema = z
  .strictObject({
    sku: text(SALE_FORMS.sku, 64).describe('The stock keeping unit that is sold; each at most once in a sale.'),
    // Kubernetes counts characters, zod UTF-16 units.
    title: z
      .string()
      .refine((title) => Array.from(title).length <= MOST_TITLE, `write at most ${MOST_TITLE} characters`)
      .meta({ maxLength: MOST_TITLE })
      .optional()
      .describe('What buyers see. The sku where it is absent.'),
    stock: units('Units put on sale. Can be raised while the sale runs, and lowered to what is sold or in payment.'),
    perBuyer: units('Most units one buyer may have. Fixed from the warm-up on.').default(1),
    price: z
      .strictObject({
        amount: text(rules.AMOUNT, 16).describe(
          'The price of one unit as a decimal string such as "129.00", with no more decimals than the currency has.',
        ),
        currency: text(SALE_FORMS.currency, 3).describe('An ISO 4217 code such as EUR.'),
      })
      .meta(rulesOf(...rules.decimals()))
      .describe('What one unit costs.'),
  })
  .meta(rulesOf(rules.exactAmount()))
  .describe('One thing on sale.');

const targetSchema = z.strictObject({
  apiVersion: text(rules.API_VERSION, 253).describe('The API group and version of the workload, such as apps/v1.'),
  kind: text(rules.KIND, 63).describe('The kind of the workload; it must have the scale subresource.'),
  name: label.describe('The name of the workload, in the namespace of the sale.'),
});

const lagSchema = z.strictObject({
  topic: text(rules.TOPIC, 249).describe('The Kafka topic that the workload consumes.'),
  group: text(rules.GROUP, 255).describe('The consumer group of the workload.'),
  perReplica: count('Records of lag one replica is meant to have.', 1),
});

const scaleSchema = z
  .strictObject({
    target: targetSchema.describe('What is scaled.'),
    min: count('Fewest replicas while the sale runs.').default(1),
    max: count('Most replicas while the sale runs.', 1),
    warm: count('Replicas that must be Ready before the sale is Armed; from min to max.').default(1),
    lag: lagSchema.describe('The backlog that the workload is scaled by while the sale is Open or Draining.'),
  })
  .meta(rulesOf(rules.MIN_UP_TO_MAX, rules.WARM_WITHIN))
  .describe('A workload that is scaled up ahead of the opening, follows its backlog, and gets back what it had.');

const cacheSchema = z.strictObject({
  ttl: durationOf(
    'The longest time that a page stays in the cache. Until the sale closes it is loaded again before that.',
    '2m',
    rules.ABOVE_ZERO,
  ).default('2m'),
  jitter: z
    .number()
    .min(0)
    .max(1)
    .default(0.3)
    .describe(
      'The part of ttl by which expiries are spread, from 0 to 1, so that pages do not expire together. A page stays for ttl less that part at least, and for a quarter of ttl whatever the jitter.',
    ),
  pages: count(
    'List pages of the shop that are loaded before the opening, beside the page of each item: the first so many, of 20 products each, those past the end of the list too.',
    0,
    SALE_LIMITS.pages,
  ).default(20),
});

const warmSchema = z.strictObject({
  leadTime: durationOf('How long before the opening the warm-up starts.', '10m').default('10m'),
  shards: count('Parts that stock is dealt out to in Redis. Fixed from the warm-up on.', 1, SALE_LIMITS.shards).default(
    4,
  ),
  cache: cacheSchema.prefault({}).describe('The hot pages: that of each item, and the first list pages of the shop.'),
});

const paymentSchema = z.strictObject({
  holdFor: durationOf('A reservation that is not paid after this long is released.', '2m', rules.ABOVE_ZERO).default(
    '2m',
  ),
});

export const specSchema = z
  .strictObject({
    opensAt: instant('When the sale opens, to the millisecond. Fixed once the sale is Armed.', rules.AFTER_1970),
    closesAt: instant('When the sale closes; after opensAt.'),
    paused: z.boolean().default(false).describe('True: nobody can buy until it is false again. The window goes on.'),
    notReady: z
      .enum(['Delay', 'Open', 'Abort'])
      .default('Delay')
      .describe(
        'Where the sale is not Armed at opensAt: Delay opens it as soon as it is, Open opens it as soon as its stock is warm, Abort ends it.',
      ),
    membersOnly: z.boolean().default(false).describe('True: only admitted members may buy. Fixed from the warm-up on.'),
    items: z
      .array(itemSchema)
      .min(1)
      .max(SALE_LIMITS.items)
      .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['sku'] })
      .describe('What is sold. The list of skus is fixed while the sale is Open.'),
    payment: paymentSchema.prefault({}).describe('How long buyers have to pay.'),
    warm: warmSchema.prefault({}).describe('What is prepared before the opening.'),
    scale: z
      .array(scaleSchema)
      .max(SALE_LIMITS.scale)
      .default([])
      .meta({ 'x-kubernetes-list-type': 'atomic', ...rulesOf(rules.TARGETS_DIFFER) })
      .describe('Workloads that are scaled for the sale; each at most once.'),
  })
  .meta(rulesOf(rules.CLOSES_AFTER_OPENING, rules.SKUS_DIFFER));

export const flashSaleSchema = z.strictObject({
  apiVersion: z.literal('flashsale.dev/v1'),
  kind: z.literal('FlashSale'),
  metadata: z.looseObject({ name: label, namespace: label.default('default') }),
  spec: specSchema,
});
export type FlashSale = z.infer<typeof flashSaleSchema>;
type Item = FlashSale['spec']['items'][number];
/** Either the sale, or what is wrong with the document, each problem with the field and what to write instead. */
export type ParsedFlashSale =
  | { readonly sale: Sale; readonly problems: readonly [] }
  | { readonly sale: undefined; readonly problems: readonly SaleProblem[] };

/** Reads one YAML or JSON document of kind FlashSale. Never throws for bad input. */
export function parseFlashSale(text: string): ParsedFlashSale {
  const document = parseDocument(text);
  const syntax = document.errors[0];
  if (syntax) return refused([{ field: '', message: `not valid YAML: ${syntax.message}` }]);
  const parsed = flashSaleSchema.safeParse(document.toJS());
  if (!parsed.success) return refused(parsed.error.issues.map(toProblem));
  return toSale(parsed.data);
}

const refused = (problems: readonly SaleProblem[]): ParsedFlashSale => ({ sale: undefined, problems });

function toProblem(issue: z.core.$ZodIssue): SaleProblem {
  const field = issue.path.map(String).join('.');
  if (issue.code === 'unrecognized_keys') {
    return { field, message: `unknown field ${issue.keys.join(', ')}: remove it or correct its name` };
  }
  return { field, message: issue.message };
}

function toSale(document: FlashSale): ParsedFlashSale {
  const { spec, metadata } = document;
  const problems: SaleProblem[] = [];
  const ms = (field: string, text: string): number => {
    const value = parseDuration(text);
    if (value === undefined)
      problems.push({ field, message: `"${text}" is no duration: write one such as 90s or 10m` });
    return value ?? 0;
  };
  const sale: Sale = {
    name: metadata.name,
    namespace: metadata.namespace,
    opensAt: Date.parse(spec.opensAt),
    closesAt: Date.parse(spec.closesAt),
    paused: spec.paused,
    notReady: spec.notReady,
    membersOnly: spec.membersOnly,
    items: spec.items.map((item, i) => toItem(item, `spec.items.${i}`, problems)),
    holdForMs: ms('spec.payment.holdFor', spec.payment.holdFor),
    warm: {
      leadTimeMs: ms('spec.warm.leadTime', spec.warm.leadTime),
      shards: spec.warm.shards,
      cache: {
        ttlMs: ms('spec.warm.cache.ttl', spec.warm.cache.ttl),
        jitter: spec.warm.cache.jitter,
        pages: spec.warm.cache.pages,
      },
    },
    scale: spec.scale,
  };
  const all = [...problems, ...checkSale(sale)];
  return all.length > 0 ? refused(all) : { sale, problems: [] };
}

function toItem(item: Item, field: string, problems: SaleProblem[]): Sale['items'][number] {
  const { amount, currency } = item.price;
  const minor = minorUnits(amount, currency);
  if (minor === undefined) {
    const message = `"${amount}" has more decimals than ${currency}: write ${currencyDigits(currency)}`;
    problems.push({ field: `${field}.price.amount`, message });
  }
  return {
    sku: item.sku,
    title: item.title ?? item.sku,
    stock: item.stock,
    perBuyer: item.perBuyer,
    price: { minor: minor ?? 0, currency },
  };
}
