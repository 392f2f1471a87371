/** Latencies counted in buckets of 2 %: small, mergeable, and quantiles to that exactness. */

const STEP = Math.log(1.02);
/** Everything below counts as this, ms. */
const FLOOR_MS = 0.01;

export class Histogram {
  count = 0;
  readonly #buckets = new Map<number, number>();

  add(ms: number): void {
    const bucket = Math.round(Math.log(Math.max(ms, FLOOR_MS)) / STEP);
    this.#buckets.set(bucket, (this.#buckets.get(bucket) ?? 0) + 1);
    this.count++;
  }

  merge(other: Histogram): void {
    for (const [bucket, n] of other.#buckets) this.#buckets.set(bucket, (this.#buckets.get(bucket) ?? 0) + n);
    this.count += other.count;
  }

  /** The value that `share` (0 to 1) of all are at or below; undefined where there is none. */
  quantile(share: number): number | undefined {
    let rest = Math.max(1, Math.ceil(this.count * share));
    for (const [bucket, n] of [...this.#buckets].sort(([a], [b]) => a - b)) {
      rest -= n;
      if (rest <= 0) return Math.exp(bucket * STEP);
    }
    return undefined;
  }
}
