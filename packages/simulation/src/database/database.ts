/**
 * A simulated PostgreSQL: rows in tables, transactions at READ COMMITTED with row locks, deadlocks found and refused.
 * A statement reads what was committed when it has its locks, as PostgreSQL reads a row anew that it had to wait for.
 */

export type Row = Readonly<Record<string, unknown>>;

export class DatabaseError extends Error {
  override readonly name = 'DatabaseError';
}

interface Waiter {
  readonly tx: Transaction;
  readonly grant: () => void;
  readonly refuse: (error: Error) => void;
}

interface Lock {
  holder: Transaction;
  readonly waiters: Waiter[];
}

export class Database {
  readonly #tables = new Map<string, Map<string, Row>>();
  readonly #locks = new Map<string, Lock>();
  /** Called at each commit with a row that is written and what was there. */
  onWrite: (table: string, before: Row | undefined, after: Row) => void = () => undefined;
  /** Called after each commit that wrote something. */
  onCommit: () => void = () => undefined;

  begin(): Transaction {
    return new Transaction(this);
  }

  /** Committed rows by key; not to be changed. */
  table(name: string): ReadonlyMap<string, Row> {
    return this.#table(name);
  }

  #table(name: string): Map<string, Row> {
    let table = this.#tables.get(name);
    if (!table) this.#tables.set(name, (table = new Map<string, Row>()));
    return table;
  }

  /** Resolves once the transaction has the lock; rejects where that would be a deadlock. */
  acquire(tx: Transaction, key: string): Promise<void> {
    const lock = this.#locks.get(key);
    if (!lock || lock.holder === tx) {
      if (!lock) this.#locks.set(key, { holder: tx, waiters: [] });
      tx.locks.add(key);
      return Promise.resolve();
    }
    if (this.#waitsFor(lock.holder, tx)) return Promise.reject(new DatabaseError('deadlock detected'));
    return new Promise((resolve, reject) => {
      tx.waitsFor = lock;
      lock.waiters.push({ tx, grant: resolve, refuse: reject });
    });
  }

  #waitsFor(one: Transaction, other: Transaction): boolean {
    for (let tx: Transaction | undefined = one; tx; tx = tx.waitsFor?.holder) if (tx === other) return true;
    return false;
  }

  commit(tx: Transaction): void {
    for (const [table, rows] of tx.writes) {
      for (const [key, row] of rows) {
        this.onWrite(table, this.#table(table).get(key), row);
        this.#table(table).set(key, row);
      }
    }
    this.#release(tx);
    if (tx.writes.size > 0) this.onCommit();
  }

  rollBack(tx: Transaction): void {
    for (const lock of this.#locks.values()) {
      const at = lock.waiters.findIndex((waiter) => waiter.tx === tx);
      if (at >= 0) lock.waiters.splice(at, 1)[0]?.refuse(new DatabaseError('the transaction was ended'));
    }
    this.#release(tx);
  }

  #release(tx: Transaction): void {
    for (const key of tx.locks) {
      const lock = this.#locks.get(key);
      const next = lock?.waiters.shift();
      if (!lock || !next) {
        this.#locks.delete(key);
        continue;
      }
      lock.holder = next.tx;
      next.tx.waitsFor = undefined;
      next.tx.locks.add(key);
      next.grant();
    }
    tx.locks.clear();
  }
}

export class Transaction {
  readonly #database: Database;
  readonly locks = new Set<string>();
  readonly writes = new Map<string, Map<string, Row>>();
  waitsFor: Lock | undefined;
  #state: 'open' | 'ended' = 'open';

  constructor(database: Database) {
    this.#database = database;
  }

  /** Locks rows, whether they are there or not, one after the other in the order of their keys. */
  async lock(table: string, keys: Iterable<string>): Promise<void> {
    for (const key of [...new Set(keys)].sort()) {
      this.#checkOpen();
      await this.#database.acquire(this, `${table} ${key}`);
    }
    this.#checkOpen();
  }

  get(table: string, key: string): Row | undefined {
    return this.writes.get(table)?.get(key) ?? this.#database.table(table).get(key);
  }

  /** Every row of a table, as this transaction sees it. */
  rows(table: string): Row[] {
    return [...new Map([...this.#database.table(table), ...(this.writes.get(table) ?? [])]).values()];
  }

  set(table: string, key: string, row: Row): void {
    const rows = this.writes.get(table) ?? new Map<string, Row>();
    this.writes.set(table, rows.set(key, row));
  }

  commit(): void {
    this.#checkOpen();
    this.#state = 'ended';
    this.#database.commit(this);
  }

  /** Idempotent. */
  rollBack(): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#database.rollBack(this);
  }

  #checkOpen(): void {
    if (this.#state === 'ended') throw new DatabaseError('the transaction was ended');
  }
}
