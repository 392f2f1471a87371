/** A simulated Kafka: topics of partitions, and groups whose members each read some of them. */
import type { Life } from '../life.ts';

/** A record as kafkajs hands it out, as far as the product looks at it. */
export interface LogRecord {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly offset: string;
  readonly timestamp: string;
  readonly attributes: number;
}

export interface NewRecord {
  readonly key: string;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, string>>;
}

/** One member's right to read a partition; over with the next rebalance. */
export interface Assignment {
  readonly topic: string;
  readonly partition: number;
  readonly generation: number;
}

export interface Member {
  readonly life: Life;
  readonly topics: readonly string[];
  /** Called after each rebalance with what the member reads from now on. */
  readonly onAssigned: (assignments: readonly Assignment[]) => void;
  /** Called when a partition has something new. */
  readonly onRecords: (topic: string, partition: number) => void;
}

interface Group {
  readonly members: Set<Member>;
  generation: number;
  readonly committed: Map<string, number>;
  /** Who reads what, by `topic/partition`. */
  readonly owners: Map<string, Member>;
}

const place = (topic: string, partition: number): string => `${topic}/${partition}`;

export class Broker {
  readonly #topics = new Map<string, LogRecord[][]>();
  readonly #groups = new Map<string, Group>();
  readonly #now: () => number;

  /** `now`: Unix ms. */
  constructor(now: () => number) {
    this.#now = now;
  }

  createTopic(topic: string, partitions: number): void {
    if (this.#topics.has(topic)) return;
    this.#topics.set(
      topic,
      Array.from({ length: partitions }, () => []),
    );
  }

  topics(): Iterable<string> {
    return this.#topics.keys();
  }

  partitions(topic: string): readonly (readonly LogRecord[])[] {
    return this.#topics.get(topic) ?? [];
  }

  append(topic: string, records: readonly NewRecord[]): void {
    const partitions = this.#topics.get(topic);
    if (!partitions) throw new Error(`there is no topic ${topic}`);
    const touched = new Set<number>();
    for (const { key, value, headers } of records) {
      const partition = partitionOf(key, partitions.length);
      const log = partitions[partition] as LogRecord[];
      const timestamp = String(this.#now());
      log.push({ key: Buffer.from(key), value, headers, offset: String(log.length), timestamp, attributes: 0 });
      touched.add(partition);
    }
    for (const group of this.#groups.values()) {
      for (const partition of touched) group.owners.get(place(topic, partition))?.onRecords(topic, partition);
    }
  }

  join(group: string, member: Member): void {
    this.#group(group).members.add(member);
    this.#rebalance(group);
  }

  leave(group: string, member: Member): void {
    if (this.#group(group).members.delete(member)) this.#rebalance(group);
  }

  committed(group: string, topic: string, partition: number): number {
    return this.#group(group).committed.get(place(topic, partition)) ?? -1;
  }

  /** Throws where the assignment is over: another member reads the partition now. */
  commit(group: string, { topic, partition, generation }: Assignment, offset: number): void {
    const known = this.#group(group);
    if (known.generation !== generation) throw new Error('the group has rebalanced');
    known.committed.set(place(topic, partition), offset);
  }

  isCurrent(group: string, { generation }: Assignment): boolean {
    return this.#group(group).generation === generation;
  }

  /** Sets a group back, as an operator's reset would: records come again. */
  rewind(group: string, records: number): void {
    const known = this.#group(group);
    for (const [at, offset] of known.committed) known.committed.set(at, Math.max(offset - records, 0));
    this.#rebalance(group);
  }

  rebalance(group: string): void {
    this.#rebalance(group);
  }

  /** Every group has consumed all of its topics. */
  isDrained(): boolean {
    return [...this.#groups].every(([, { members, committed }]) => {
      const topics = new Set([...members].flatMap((member) => member.topics));
      return [...topics].every((topic) =>
        this.partitions(topic).every(({ length }, i) => (committed.get(place(topic, i)) ?? 0) >= length),
      );
    });
  }

  #rebalance(name: string): void {
    const group = this.#group(name);
    group.generation++;
    group.owners.clear();
    const assignments = new Map<Member, Assignment[]>([...group.members].map((member) => [member, []]));
    let next = 0;
    for (const [topic, partitions] of this.#topics) {
      const readers = [...group.members].filter((member) => member.topics.includes(topic));
      if (readers.length === 0) continue;
      for (const partition of partitions.keys()) {
        const member = readers[(next++ + group.generation) % readers.length] as Member;
        group.owners.set(place(topic, partition), member);
        assignments.get(member)?.push({ topic, partition, generation: group.generation });
      }
    }
    for (const [member, own] of assignments) member.onAssigned(own);
  }

  #group(name: string): Group {
    let group = this.#groups.get(name);
    if (!group) {
      group = { members: new Set(), generation: 0, committed: new Map(), owners: new Map() };
      this.#groups.set(name, group);
    }
    return group;
  }
}

function partitionOf(key: string, partitions: number): number {
  let hash = 0;
  for (let i = 0; i < key.length; i++) hash = (Math.imul(hash, 31) + key.charCodeAt(i)) >>> 0;
  return hash % partitions;
}
