/** Slows guessing down: after some failed sign-ins for one e-mail, no more are tried for a while. */
import { SaleError } from '@flashsale/sale';

/** Failures that a forgetful person may have. */
const ALLOWED = 10;
/** After the first failure everything is forgotten in this time, in ms. */
const WINDOW_MS = 15 * 60_000;
/** E-mails remembered; the longest known gives way. About 100 bytes each. */
const REMEMBERED = 10_000;

interface Failures {
  count: number;
  readonly until: number;
}

/** Per process: with n processes an attacker has n times as many attempts, which is still few. */
export class Attempts {
  readonly #failures = new Map<string, Failures>();
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** Throws SaleError `rate_limited` where there were too many failures. Says nothing about whether the account exists. */
  check(email: string): void {
    const known = this.#current(email);
    if (!known || known.count < ALLOWED) return;
    const retryAfter = Math.ceil((known.until - this.#now()) / 1000);
    throw new SaleError('rate_limited', 'Too many wrong passwords. Try again later.', { retryAfter });
  }

  failed(email: string): void {
    const known = this.#current(email) ?? { count: 0, until: this.#now() + WINDOW_MS };
    known.count++;
    this.#failures.set(email, known);
    if (this.#failures.size > REMEMBERED) this.#failures.delete(this.#failures.keys().next().value as string);
  }

  succeeded(email: string): void {
    this.#failures.delete(email);
  }

  #current(email: string): Failures | undefined {
    const known = this.#failures.get(email);
    if (known && known.until > this.#now()) return known;
    this.#failures.delete(email);
    return undefined;
  }
}
