/** The data of a simulated Redis, with a journal a node: what each write found, so that a failover can take writes back. */

export interface StreamGroup {
  /** Id of the last entry that was handed out. */
  last: string;
  /** Entries handed out and not acknowledged. */
  readonly pending: Map<string, { readonly consumer: string; readonly at: number }>;
  /** When each consumer was last heard of, Unix ms. */
  readonly consumers: Map<string, number>;
}

/** A value by its type; `bits` is a string that only bit commands touch. */
export type Entry =
  | { readonly type: 'string'; text: string }
  | { readonly type: 'bits'; readonly ones: Set<number> }
  | { readonly type: 'hash'; readonly fields: Map<string, string> }
  | { readonly type: 'set'; readonly members: Set<string> }
  | { readonly type: 'zset'; readonly scores: Map<string, number> }
  | {
      readonly type: 'stream';
      readonly entries: Map<string, readonly string[]>;
      lastId: string;
      readonly groups: Map<string, StreamGroup>;
    };
type EntryOf<T extends Entry['type']> = Extract<Entry, { type: T }>;

/** What one atomic write found at the keys that it touched. */
type Undo = Map<string, Entry | undefined>;

/** Writes that can be taken back. */
const MAX_JOURNAL = 64;

export class Keyspace {
  readonly #data = new Map<string, Entry>();
  readonly #journals = new Map<number, Undo[]>();
  readonly #nodeOf: (key: string) => number;
  #undo: Undo | undefined;
  /** Called after each write with what was at the keys before. */
  onWrite: (before: ReadonlyMap<string, Entry | undefined>) => void = () => undefined;

  /** `nodeOf` says which node of a Cluster has a key. */
  constructor(nodeOf: (key: string) => number = () => 0) {
    this.#nodeOf = nodeOf;
  }

  /** One command or script: its writes are taken back together. */
  atomically<T>(work: () => T): T {
    const undo: Undo = new Map();
    this.#undo = undo;
    try {
      return work();
    } finally {
      this.#undo = undefined;
      const [first] = undo.keys();
      if (first !== undefined) this.#record(this.#nodeOf(first), undo);
    }
  }

  #record(node: number, undo: Undo): void {
    const journal = this.#journals.get(node) ?? [];
    this.#journals.set(node, journal);
    journal.push(undo);
    if (journal.length > MAX_JOURNAL) journal.shift();
    this.onWrite(undo);
  }

  /** A replica that was `writes` behind takes over from a node. Returns how many writes were lost. */
  rollBack(node: number, writes: number): number {
    const journal = this.#journals.get(node) ?? [];
    const lost = journal.splice(Math.max(journal.length - writes, 0)).reverse();
    for (const [key, entry] of lost.flatMap((undo) => [...undo])) {
      if (entry) this.#data.set(key, entry);
      else this.#data.delete(key);
    }
    return lost.length;
  }

  /** A node comes back empty. */
  flush(node: number): void {
    for (const key of [...this.#data.keys()]) if (this.#nodeOf(key) === node) this.#data.delete(key);
    this.#journals.delete(node);
  }

  keys(): Iterable<string> {
    return this.#data.keys();
  }

  has(key: string): boolean {
    return this.#data.has(key);
  }

  /** Undefined where the key is missing. Throws WRONGTYPE. */
  read<T extends Entry['type']>(key: string, type: T): EntryOf<T> | undefined {
    const entry = this.#data.get(key);
    if (entry && entry.type !== type)
      throw new Error('WRONGTYPE Operation against a key holding the wrong kind of value');
    return entry as EntryOf<T> | undefined;
  }

  /** The entry to change; made where it is missing. */
  write<T extends Entry['type']>(key: string, type: T): EntryOf<T> {
    const known = this.read(key, type);
    this.#remember(key, known);
    if (known) return known;
    const made = empty(type);
    this.#data.set(key, made);
    return made as EntryOf<T>;
  }

  delete(key: string): boolean {
    const known = this.#data.get(key);
    if (!known) return false;
    this.#remember(key, known);
    return this.#data.delete(key);
  }

  #remember(key: string, entry: Entry | undefined): void {
    if (this.#undo && !this.#undo.has(key)) this.#undo.set(key, entry && copy(entry));
  }
}

function empty(type: Entry['type']): Entry {
  switch (type) {
    case 'string':
      return { type, text: '' };
    case 'bits':
      return { type, ones: new Set() };
    case 'hash':
      return { type, fields: new Map() };
    case 'set':
      return { type, members: new Set() };
    case 'zset':
      return { type, scores: new Map() };
    case 'stream':
      return { type, entries: new Map(), lastId: '0-0', groups: new Map() };
  }
}

function copy(entry: Entry): Entry {
  switch (entry.type) {
    case 'string':
      return { ...entry };
    case 'bits':
      return { ...entry, ones: new Set(entry.ones) };
    case 'hash':
      return { ...entry, fields: new Map(entry.fields) };
    case 'set':
      return { ...entry, members: new Set(entry.members) };
    case 'zset':
      return { ...entry, scores: new Map(entry.scores) };
    case 'stream':
      return { ...entry, entries: new Map(entry.entries), groups: copyGroups(entry.groups) };
  }
}

function copyGroups(groups: ReadonlyMap<string, StreamGroup>): Map<string, StreamGroup> {
  const one = ({ last, pending, consumers }: StreamGroup): StreamGroup => ({
    last,
    pending: new Map(pending),
    consumers: new Map(consumers),
  });
  return new Map([...groups].map(([name, group]) => [name, one(group)]));
}
