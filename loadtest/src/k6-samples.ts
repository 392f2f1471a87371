/** What k6 tells while it runs (its CSV output), gathered by time: latencies, answers by outcome. */
import { Histogram } from './histogram.ts';

/** Width of one bucket of time. */
export const BUCKET_MS = 250;
/** A histogram each: what a purchase took, what a page took, and from the answer to the push. */
export const TIMINGS = ['purchase', 'page', 'paid'] as const;
export type Timing = (typeof TIMINGS)[number];

export interface Bucket {
  readonly timings: Readonly<Record<Timing, Histogram>>;
  readonly outcomes: Map<string, number>;
}

const PAGES = ['sales', 'sale', 'products', 'product', 'search'];

export class K6Samples {
  /** Unix ms of the first sample; undefined before it. */
  startedAt: number | undefined;
  readonly buckets: Bucket[] = [];
  readonly outcomes = new Map<string, number>();
  #columns: readonly string[] = [];

  /** Takes one line of the output. Lines that are none of ours are left. */
  line(text: string): void {
    const fields = text.split(',');
    if (this.#columns.length === 0) {
      this.#columns = fields;
      return;
    }
    const [metric = '', time = '', value = ''] = fields;
    if (metric === 'http_req_duration') this.#duration(Number(time), Number(value), this.#field(fields, 'name'));
    else if (metric === 'paid_after') this.#at(Number(time)).timings.paid.add(Number(value));
    else if (metric === 'answers') this.#answer(Number(time), Number(value), this.#field(fields, 'extra_tags'));
  }

  #field(fields: readonly string[], name: string): string {
    return fields[this.#columns.indexOf(name)] ?? '';
  }

  #duration(time: number, ms: number, name: string): void {
    if (name === 'purchase') this.#at(time).timings.purchase.add(ms);
    else if (PAGES.includes(name)) this.#at(time).timings.page.add(ms);
  }

  #answer(time: number, count: number, tags: string): void {
    const outcome = new URLSearchParams(tags).get('outcome') ?? '';
    const { outcomes } = this.#at(time);
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + count);
    this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + count);
  }

  #at(time: number): Bucket {
    this.startedAt ??= time;
    // Samples are nearly in order: what was before the first one counts with it.
    const index = Math.max(0, Math.floor((time - this.startedAt) / BUCKET_MS));
    while (this.buckets.length <= index) this.buckets.push(emptyBucket());
    return this.buckets[index] ?? emptyBucket();
  }
}

export function emptyBucket(): Bucket {
  return {
    timings: { purchase: new Histogram(), page: new Histogram(), paid: new Histogram() },
    outcomes: new Map(),
  };
}
