/** Which buyers are connected here, counted by connection and told to Redis in the order in which it happened. */

/** The part of the presence in Redis that is needed here. */
export interface PresenceStore {
  add(buyer: string): Promise<void>;
  remove(buyer: string): Promise<void>;
  refresh(buyers: Iterable<string>): Promise<void>;
}

interface Entry {
  connections: number;
  /** The last change under way: a removal must not overtake the registration after it. */
  last: Promise<void>;
}

export class LocalPresence {
  readonly #store: PresenceStore;
  readonly #onError: (error: unknown) => void;
  readonly #buyers = new Map<string, Entry>();

  constructor(store: PresenceStore, onError: (error: unknown) => void) {
    this.#store = store;
    this.#onError = onError;
  }

  get buyers(): number {
    return this.#buyers.size;
  }

  /** Resolves once the buyer is registered; rejects where Redis did not take it (and nothing is counted). */
  async join(buyer: string): Promise<void> {
    const entry = this.#buyers.get(buyer) ?? { connections: 0, last: Promise.resolve() };
    this.#buyers.set(buyer, entry);
    entry.connections++;
    // Also for the second connection: the first registration may have failed or run out.
    const registered = entry.last.then(() => this.#store.add(buyer));
    entry.last = registered.catch(() => undefined);
    try {
      await registered;
    } catch (error) {
      this.leave(buyer);
      throw error;
    }
  }

  /** The buyer's last connection takes the registration away, after whatever is under way for him. */
  leave(buyer: string): void {
    const entry = this.#buyers.get(buyer);
    if (!entry || --entry.connections > 0) return;
    entry.last = entry.last.then(() => this.#removeUnlessBack(buyer, entry)).catch(this.#onError);
  }

  async #removeUnlessBack(buyer: string, entry: Entry): Promise<void> {
    if (entry.connections > 0) return;
    try {
      await this.#store.remove(buyer);
    } finally {
      // Where it failed, the registration runs out by itself.
      if (entry.connections === 0) this.#buyers.delete(buyer);
    }
  }

  /** Keeps every registration from running out. */
  refresh(): Promise<void> {
    return this.#store.refresh(this.#buyers.keys());
  }

  /** Waits for the removals under way. */
  async settled(): Promise<void> {
    await Promise.all([...this.#buyers.values()].map(({ last }) => last));
  }
}
