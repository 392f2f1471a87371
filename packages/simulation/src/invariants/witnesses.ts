/** What must be so after every step, and what buyers were told. */
import type { Buyer, PurchaseStatus } from '@flashsale/sale';
import type { Answer, Wish, Witness } from './actors/buyer.ts';
import type { World } from './world.ts';

export class Witnesses implements Witness {
  readonly #world: World;
  /** The first thing that was not as it must be. */
  violation: string | undefined;

  constructor(world: World) {
    this.#world = world;
  }

  fail(what: string, cause?: unknown): void {
    const why = cause instanceof Error ? `: ${cause.stack ?? cause.message}` : '';
    this.violation ??= `${what}${why}`;
    this.#world.trace.add(this.#world.scheduler.now, `VIOLATION ${what}${why}`);
  }

  answered(buyer: Buyer, wish: Wish, answer: Answer, sentAt: number): void {
    this.#world.trace.add(
      this.#world.scheduler.now,
      `${buyer.id} is answered ${JSON.stringify({ wish, answer, sentAt })}`,
    );
  }

  told(buyer: Buyer, id: string, status: PurchaseStatus): void {
    this.#world.trace.add(this.#world.scheduler.now, `${buyer.id} is told ${id} ${status}`);
  }

  lostWrites(_node: number): void {
    // Below.
  }
}
