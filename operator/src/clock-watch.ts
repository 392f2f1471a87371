/**
 * Compares the operator's clock with those of others, and with itself. Decisions use Redis TIME, whatever is found;
 * a clock that is wrong still makes logs, leases and certificates wrong, so it is said.
 */
import { countClockJump, showClock } from './metrics.ts';

/** What is said, in ms. */
const MOST_OFF_MS = 2_000;
/** An answer that took longer says too little of when the other clock was read. */
const LONGEST_READ_MS = 1_000;

interface Clocks {
  /** The wall clock, Unix ms. */
  readonly wall: () => number;
  /** A clock that never jumps, ms. */
  readonly steady: () => number;
}

const NAMES: Readonly<Record<Source, string>> = { redis: 'Redis', kubernetes: 'the API server' };
export type Source = 'redis' | 'kubernetes';

export class ClockWatch {
  readonly #clocks: Clocks;
  readonly #off = new Set<Source>();
  #shift: number;

  constructor(clocks: Clocks = { wall: () => Date.now(), steady: () => performance.now() }) {
    this.#clocks = clocks;
    this.#shift = clocks.wall() - clocks.steady();
  }

  /** Reads another clock (Unix ms) through `ask`, and hands its time on. */
  async read(source: Source, ask: () => Promise<number>): Promise<number> {
    const { wall, steady } = this.#clocks;
    const sentAt = steady();
    const theirs = await ask();
    const tookMs = steady() - sentAt;
    this.#noticeJump();
    if (tookMs <= LONGEST_READ_MS) this.#compare(source, theirs - (wall() - tookMs / 2));
    return theirs;
  }

  /** What is wrong, in words that change only with it; the metrics have the numbers. */
  words(): string[] {
    return [...this.#off].map(
      (source) => `the operator's clock differs from that of ${NAMES[source]} by more than 2 s`,
    );
  }

  #compare(source: Source, offsetMs: number): void {
    showClock(source, offsetMs);
    if (Math.abs(offsetMs) > MOST_OFF_MS) this.#off.add(source);
    else this.#off.delete(source);
  }

  #noticeJump(): void {
    const shift = this.#clocks.wall() - this.#clocks.steady();
    if (Math.abs(shift - this.#shift) > MOST_OFF_MS) countClockJump();
    // Also where it is slewed, so that slow corrections never add up to a jump.
    this.#shift = shift;
  }
}
