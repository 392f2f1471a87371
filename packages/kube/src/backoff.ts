/** How long to wait before trying again: exponential with jitter for one thing, a token bucket for all together. */
import type { Clock } from './clock.ts';

export interface BackoffOptions {
  /** Mean of the first delay, ms. */
  readonly firstMs: number;
  /** Upper bound of the delay before jitter, ms. */
  readonly mostMs: number;
}

/** Delays of one thing that keeps failing. They double, and each is spread evenly over 0.5–1.5 of its value. */
export class Backoff {
  readonly #options: BackoffOptions;
  readonly #clock: Clock;
  #failures = 0;

  constructor(options: BackoffOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
  }

  /** The delay after one more failure, ms. A server that asks for `atLeastMs` gets that much, and the jitter on top. */
  next(atLeastMs = 0): number {
    const base = exponential(this.#options, this.#failures);
    this.#failures += 1;
    const jittered = base * (0.5 + this.#clock.random());
    return atLeastMs > jittered ? atLeastMs + base * this.#clock.random() * 0.5 : jittered;
  }

  reset(): void {
    this.#failures = 0;
  }
}

/** `firstMs` doubled `failures` times, at most `mostMs`. */
export function exponential({ firstMs, mostMs }: BackoffOptions, failures: number): number {
  // 2 ** 1024 is Infinity, and the minimum of it and a number is the number.
  return Math.min(mostMs, firstMs * 2 ** failures);
}

/** So many a second, with bursts. Who asks always gets a turn, only later the fuller it is. */
export class TokenBucket {
  readonly #perSecond: number;
  readonly #burst: number;
  readonly #clock: Clock;
  #tokens: number;
  #filledAt: number;

  constructor(perSecond: number, burst: number, clock: Clock) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#clock = clock;
    this.#tokens = burst;
    this.#filledAt = clock.now();
  }

  /** Takes a token and returns in how many ms it may be used. */
  reserve(): number {
    this.#fill();
    this.#tokens -= 1;
    return this.#tokens >= 0 ? 0 : (-this.#tokens / this.#perSecond) * 1000;
  }

  /** Takes a token where there is one now. */
  tryTake(): boolean {
    this.#fill();
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  #fill(): void {
    const now = this.#clock.now();
    this.#tokens = Math.min(this.#burst, this.#tokens + ((now - this.#filledAt) / 1000) * this.#perSecond);
    this.#filledAt = now;
  }
}
