/** The status of a FlashSale, as its readers see it (contract: phase, conditions, items, scale, proof): schema and type. */
import { setCondition, type Finding } from '@flashsale/kube/conditions';
import { PHASES, SALE_LIMITS, type Sale } from '@flashsale/sale';
import { z } from 'zod';

/** The limit of Kubernetes' own conditions, in characters. */
const MOST_MESSAGE = 32_768;

const count = (words: string) => z.int().min(0).describe(words);
const word = (most: number, words: string) => z.string().max(most).describe(words);

const instant = (words: string) => z.iso.datetime({ offset: true }).meta({ pattern: undefined }).describe(words);

const conditionSchema = z
  .strictObject({
    type: word(63, 'What the condition is about, such as StockWarm or Armed.').min(1),
    status: z.enum(['True', 'False', 'Unknown']).describe('Whether it is so.'),
    reason: word(128, 'Why, in one CamelCase word for machines.'),
    message: word(MOST_MESSAGE, 'Why, in words.'),
    lastTransitionTime: instant('When `status` last changed (RFC 3339).'),
    observedGeneration: count('The generation of the resource that this was found for.'),
  })
  .describe('A condition by the Kubernetes API conventions.');

const itemSchema = z
  .strictObject({
    sku: word(64, 'The stock keeping unit.'),
    stock: count('Units put on sale.'),
    free: count('Units that can be bought.'),
    held: count('Units that are in payment.'),
    sold: count('Units that are paid.'),
  })
  .describe('Where the stock of an item is: free + held + sold = stock.');

const scaleSchema = z
  .strictObject({
    target: word(127, 'Kind and name, such as Deployment/payments.'),
    lag: count('Records that the workload has still to consume.'),
    desired: count('Replicas that were asked for.'),
    ready: count('Replicas that are Ready.'),
    before: count('Replicas found before the sale scaled them; they come back after it.'),
    missing: z.boolean().optional().describe('True: there is no such workload.'),
    heldBy: word(320, 'The autoscaler that looks after the workload, which is therefore left alone.').optional(),
    scaleUpAt: instant('When it is scaled up ahead of the opening (RFC 3339).').optional(),
    askedAt: instant('When replicas were asked for that are not Ready yet (RFC 3339).').optional(),
    readySeconds: count('Seconds from a scale-up to all its replicas Ready, as last measured.').optional(),
  })
  .describe('A workload that is scaled for the sale.');

const proofSchema = z.strictObject({
  sale: word(63, 'The name of the sale.'),
  stock: count('Units, summed over the items.'),
  free: count('Units that were not sold.'),
  held: count('Units still in payment.'),
  sold: count('Units sold by the ledger.'),
  refunded: count('Purchases given back.'),
  oversold: count('Units sold beyond the stock of their item.'),
  doubleBuyers: count('Buyers with more units of an item than one buyer may have.'),
  unsettled: count('Purchases that are past their time and have no ending.'),
  holds: z.boolean().describe('Whether Redis, log and ledger add up.'),
  problems: z
    .array(z.string().describe('One thing, in words.'))
    .describe('What does not add up, in words; empty where `holds`.'),
});

const summarySchema = z.strictObject({
  stock: count('Units put on sale, over all items.'),
  sold: count('Units that are paid, over all items.'),
  lag: count('Records still to be consumed, over all workloads.'),
  ready: word(32, 'Replicas that are Ready and that were asked for, over all workloads, such as 18/20.'),
});

const byKey = (key: string) => ({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': [key] });

export const statusSchema = z.strictObject({
  phase: z
    .enum(PHASES)
    .describe(
      'Where the sale is in its life: Scheduled, Warming, Armed, Open, Draining, Closed; or Aborted. A pause is a condition.',
    ),
  observedGeneration: count('Grows by one whenever the document changes; the status is about this generation.'),
  observedDigest: word(64, 'Digest of the document that `observedGeneration` stands for.'),
  epoch: count(
    "The epoch of the sale's stock; written here before it is used, so that it never repeats. 0: never warmed.",
  ),
  message: word(MOST_MESSAGE, 'What the sale is doing or waiting for, in words.'),
  conditions: z
    .array(conditionSchema)
    .max(64)
    .meta(byKey('type'))
    .describe(
      'What is so: Accepted, StockWarm, CacheWarm, ConsumersReady, Armed, Open, Paused, Conserved and Reconciled.',
    ),
  items: z.array(itemSchema).max(SALE_LIMITS.items).meta(byKey('sku')).describe('Where the stock of each item is.'),
  scale: z.array(scaleSchema).max(SALE_LIMITS.scale).meta(byKey('target')).describe('What each workload does.'),
  summary: summarySchema.describe('Sums over items and workloads, for tables.'),
  accepted: z
    .custom<Sale>()
    .optional()
    .meta({ type: 'object', 'x-kubernetes-preserve-unknown-fields': true })
    .describe(
      'The last spec that was accepted, in the form the operator uses: what runs, even where the resource was edited into something invalid. For the operator alone.',
    ),
  gate: z
    .string()
    .describe(
      'What the scripts in Redis were last told of window, gate and stock. Empty: shut, or not told. For the operator alone.',
    ),
  proof: proofSchema.optional().describe('What Redis, log and ledger say after the sale has closed.'),
});

type Frozen<T> = T extends object ? { readonly [K in keyof T]: Frozen<T[K]> } : T;
type Status = Frozen<z.infer<typeof statusSchema>>;
/** Members that are there only once they are known. */
type Known<T, K extends keyof T> = Omit<T, K> & { readonly [P in K]?: Exclude<T[P], undefined> };

export type SaleStatus = Known<Status, 'accepted' | 'proof'>;
export type StatusCondition = SaleStatus['conditions'][number];
export type ScaleStatus = SaleStatus['scale'][number];
export type Proof = NonNullable<SaleStatus['proof']>;

export const newStatus: SaleStatus = {
  phase: 'Scheduled',
  observedGeneration: 0,
  observedDigest: '',
  epoch: 0,
  message: '',
  conditions: [],
  items: [],
  scale: [],
  summary: { stock: 0, sold: 0, lag: 0, ready: '0/0' },
  gate: '',
};

/** The status with the sums of its parts, and a message that is not too long; `sale` says how much is on sale before anything was warmed. */
export function withSummary(status: SaleStatus, sale: Sale): SaleStatus {
  const sum = (numbers: readonly number[]): number => numbers.reduce((total, n) => total + n, 0);
  const { items, scale } = status;
  const summary = {
    stock: sum(sale.items.map((item) => item.stock)),
    sold: sum(items.map((item) => item.sold)),
    lag: sum(scale.map((target) => target.lag)),
    ready: `${sum(scale.map((target) => target.ready))}/${sum(scale.map((target) => target.desired))}`,
  };
  return { ...status, summary, message: status.message.slice(0, MOST_MESSAGE) };
}

/** Sets a condition; a message that is too long is cut. `now` is Unix ms. */
export function withCondition(
  conditions: readonly StatusCondition[],
  { message, ...finding }: Finding,
  generation: number,
  now: number,
): readonly StatusCondition[] {
  return setCondition(conditions, { ...finding, message: message.slice(0, MOST_MESSAGE) }, generation, new Date(now));
}
