/** A process' way to a simulated PostgreSQL: statements and transactions over the network. */
import type { Life } from '../life.ts';
import { tooLate, type Network, type Store } from '../network.ts';
import type { Database, Transaction } from './database.ts';

/** As in database.ts of packages/platform: the server's limit of a statement. */
const STATEMENT_MS = 10_000;

export const databaseStore = (name: 'orders-db' | 'payments-db'): Store => ({
  name,
  deadlineMs: STATEMENT_MS,
  unreachable: tooLate(name, STATEMENT_MS),
});

/** Carries out one statement, given what it does within the transaction. */
export type Run = <T>(what: string, statement: (tx: Transaction) => T | Promise<T>) => Promise<T>;

export class DatabaseConnection {
  readonly #life: Life;
  readonly #network: Network;
  readonly #store: Store;
  readonly #database: Database;

  /** Throws where nobody serves the database. */
  readonly #check: () => void;

  constructor(life: Life, network: Network, store: Store, database: Database, check: () => void = () => undefined) {
    this.#check = check;
    this.#life = life;
    this.#network = network;
    this.#store = store;
    this.#database = database;
  }

  /** A statement that is its own transaction. */
  statement<T>(what: string, statement: (tx: Transaction) => T | Promise<T>): Promise<T> {
    return this.#network.call(this.#life, this.#store, what, async () => {
      this.#check();
      const tx = this.#database.begin();
      try {
        const result = await statement(tx);
        tx.commit();
        return result;
      } catch (error) {
        tx.rollBack();
        throw error;
      }
    });
  }

  /** What the process leaves open when it dies, or after a statement that failed, the server rolls back. */
  async transaction<T>(work: (run: Run) => Promise<T>): Promise<T> {
    const tx = this.#database.begin();
    this.#life.onDeath.push(() => tx.rollBack());
    try {
      const result = await work((what, statement) =>
        this.#network.call(this.#life, this.#store, what, () => statement(tx)),
      );
      await this.#network.call(this.#life, this.#store, 'COMMIT', () => tx.commit());
      return result;
    } catch (error) {
      // The connection is given up: the server notices.
      this.#network.scheduler.after(this.#network.latency(this.#life), undefined, () => tx.rollBack());
      throw error;
    }
  }
}
