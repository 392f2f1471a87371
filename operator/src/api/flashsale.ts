/** The FlashSale resource (flashsale.dev/v1): its schema, and how a document becomes the domain's Sale. */
import { checkSale, currencyDigits, minorUnits, parseDuration, type Sale, type SaleProblem } from '@flashsale/sale';
import { parseDocument } from 'yaml';
import { z } from 'zod';

const duration = z.string().describe('A Go-style duration, for example 90s or 10m.');
const instant = z.iso.datetime({ offset: true }).describe('An RFC 3339 time, for example 2026-12-01T10:00:00Z.');
const dnsLabel = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'use lower-case letters, digits and dashes, at most 63');
const count = (what: string) => z.int().min(0).describe(what);

const itemSchema = z.strictObject({
  sku: z.string().describe('The stock keeping unit that is sold.'),
  title: z.string().max(200).optional().describe('What buyers see; the sku where absent.'),
  stock: count('Units put on sale.'),
  perBuyer: z.int().min(1).default(1).describe('Most units one buyer may have.'),
  price: z.strictObject({
    amount: z.string().regex(/^\d{1,12}(\.\d{1,3})?$/, 'write the amount as a decimal string such as "129.00"'),
    currency: z.string().regex(/^[A-Z]{3}$/, 'write an ISO 4217 code such as EUR'),
  }),
});

const scaleSchema = z.strictObject({
  target: z.strictObject({ apiVersion: z.string(), kind: z.string(), name: dnsLabel }),
  min: count('Fewest replicas.').default(1),
  max: count('Most replicas.'),
  warm: count('Replicas that must be Ready before the sale is Armed.').default(1),
  lag: z.strictObject({
    topic: z.string(),
    group: z.string(),
    perReplica: z.int().min(1).describe('Records of lag one replica is meant to have.'),
  }),
});

const cacheSchema = z.strictObject({
  ttl: duration.default('2m'),
  jitter: z.number().min(0).max(1).default(0.3),
  pages: count('Hot pages loaded before the opening.').default(20),
});

const specSchema = z.strictObject({
  opensAt: instant,
  closesAt: instant,
  paused: z.boolean().default(false),
  notReady: z.enum(['Delay', 'Open', 'Abort']).default('Delay'),
  membersOnly: z.boolean().default(false).describe('True: only admitted members may buy.'),
  items: z.array(itemSchema).min(1).max(100),
  payment: z.strictObject({ holdFor: duration.default('2m') }).prefault({}),
  warm: z
    .strictObject({
      leadTime: duration.default('10m'),
      shards: z.int().min(1).max(64).default(4),
      cache: cacheSchema.prefault({}),
    })
    .prefault({}),
  scale: z.array(scaleSchema).max(16).default([]),
});

export const flashSaleSchema = z.strictObject({
  apiVersion: z.literal('flashsale.dev/v1'),
  kind: z.literal('FlashSale'),
  metadata: z.looseObject({ name: dnsLabel, namespace: dnsLabel.default('default') }),
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
