/** Estimates the clock of Redis, which alone decides whether a sale is open. */
import type { SaleStore } from '@flashsale/sale';

/** Nodes of a cluster keep their own clocks: NTP holds them together to well below this. In ms. */
const NODE_SKEW_MS = 200;
/** How fast two clocks may run apart. 200 ppm is twice what cheap quartz does. */
const DRIFT_PER_MS = 0.0002;

export class RedisClock {
  readonly #store: Pick<SaleStore, 'time'>;
  readonly #monotonic: () => number;
  #offset: number;
  #error = Infinity;
  #sampledAt = 0;

  /** `monotonic` is in ms and never steps back, unlike the wall clock. */
  constructor(store: Pick<SaleStore, 'time'>, monotonic: () => number = () => performance.now()) {
    this.#store = store;
    this.#monotonic = monotonic;
    this.#offset = Date.now() - monotonic();
  }

  /** Takes one sample. A sample is only as good as its round trip was short, so a worse one is dropped (Cristian 1989). */
  async sample(): Promise<void> {
    const sent = this.#monotonic();
    const time = await this.#store.time();
    const received = this.#monotonic();
    const error = (received - sent) / 2 + 1;
    if (error > this.#errorAt(received)) return;
    this.#offset = time - (sent + received) / 2;
    this.#error = error;
    this.#sampledAt = received;
  }

  /** Unix ms by the clock of Redis, as far as it is known; the machine's own clock before the first sample. */
  now(): number {
    return this.#monotonic() + this.#offset;
  }

  /** True only where every node of Redis is surely before `time` (Unix ms). Before the first sample: never. */
  isSurelyBefore(time: number): boolean {
    return this.now() + this.#errorAt(this.#monotonic()) + NODE_SKEW_MS < time;
  }

  #errorAt(monotonic: number): number {
    return this.#error + (monotonic - this.#sampledAt) * DRIFT_PER_MS;
  }
}
