/**
 * Carries events from the outboxes in Redis to Kafka: read, write with acks=all, only then acknowledge.
 * A crash or a refusal between any two steps leaves the entry where it is, so nothing is lost and some come twice.
 */
import type { Logger } from '@flashsale/platform/log';
import { loop, type Part } from '@flashsale/platform/run';
import type { OutboxEntry, SaleEvent, SaleStore, TopicName } from '@flashsale/sale';
import { outboxLag, relayed } from './metrics.ts';
import type { SaleDirectory } from './sale-directory.ts';

/** Kafka as the relay needs it. Rejects unless every event is on all in-sync replicas. */
export interface EventSink {
  send(topic: TopicName, events: readonly SaleEvent[]): Promise<void>;
}

export interface RelayOptions {
  readonly store: Pick<SaleStore, 'readOutbox' | 'acknowledgeOutbox'>;
  readonly sink: EventSink;
  readonly directory: Pick<SaleDirectory, 'all' | 'clock'>;
  readonly log: Logger;
  /** Names this process among the relays of all checkout processes. */
  readonly consumer: string;
}

/** How often all outboxes are looked through for what others left. */
const EVERY_MS = 1_000;
/** After a kick the pass waits so long for more: one round trip for many purchases, and larger records for Kafka. */
const GATHER_MS = 5;
/** Entries a read; each may hold a batch of 128 purchases. */
const LIMIT = 64;
/** Another relay's entry counts as left behind after this: longer than a send to Kafka may take (15 s). */
const MIN_IDLE_MS = 20_000;
/** Outboxes read at the same time. */
const AT_ONCE = 16;

interface Outbox {
  readonly sale: string;
  readonly shard: number;
}
interface Read extends Outbox {
  readonly entries: readonly OutboxEntry[];
}

export class Relay implements Part {
  readonly name = 'relay';
  readonly #options: RelayOptions;
  readonly #loop: ReturnType<typeof loop>;
  /** Outboxes this process knows to have something, by `sale shard`; no more than there are shards. */
  readonly #kicked = new Map<string, Outbox>();
  #lookAgainAt = 0;
  #gathering: NodeJS.Timeout | undefined;
  /** Read, and perhaps not written, since Kafka refused: first in the next pass. One round of reads at most. */
  #unsent: readonly Read[] = [];

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#loop = loop('relay', options.log, EVERY_MS, (signal) => this.step(signal));
  }

  /** There is something in this outbox. */
  kick(sale: string, shard: number): void {
    this.#kicked.set(`${sale} ${shard}`, { sale, shard });
    this.#gathering ??= setTimeout(() => {
      this.#gathering = undefined;
      this.#loop.kick();
    }, GATHER_MS);
  }

  async start(): Promise<void> {
    await this.#loop.start?.();
  }

  /** Finishes the pass under way, and makes one more for what the last purchases left. The rest is found by others. */
  async drain(): Promise<void> {
    clearTimeout(this.#gathering);
    await this.#loop.drain?.();
    try {
      await this.step();
    } catch (error) {
      this.#options.log.warn({ err: error }, 'the last pass failed; the entries stay in the outbox');
    }
  }

  /** One pass over the outboxes that were kicked and, once a second, over all. Rejects where Redis or Kafka failed. */
  async step(signal?: AbortSignal): Promise<void> {
    await this.#carry(this.#unsent);
    const { outboxes, minIdleMs } = this.#due();
    let oldest: number | undefined;
    for (let i = 0; i < outboxes.length && !signal?.aborted; i += AT_ONCE) {
      const reads = await this.#read(outboxes.slice(i, i + AT_ONCE), minIdleMs);
      oldest = Math.min(oldest ?? Infinity, ...reads.map(({ entries }) => entryTime(entries[0])));
      await this.#carry(reads);
      // A full read may have left more behind.
      for (const read of reads) if (read.entries.length === LIMIT) this.kick(read.sale, read.shard);
    }
    const age = oldest === undefined || oldest === Infinity ? 0 : this.#options.directory.clock.now() - oldest;
    outboxLag.set(Math.max(age, 0) / 1_000);
  }

  /** What was kicked has something new; what others left behind is looked for once a second only. */
  #due(): { readonly outboxes: readonly Outbox[]; readonly minIdleMs: number } {
    const now = performance.now();
    const due = new Map(this.#kicked);
    this.#kicked.clear();
    if (now < this.#lookAgainAt) return { outboxes: [...due.values()], minIdleMs: Infinity };
    this.#lookAgainAt = now + EVERY_MS * 0.8;
    for (const { sale } of this.#options.directory.all()) {
      for (let shard = 0; shard < sale.warm.shards; shard++) {
        due.set(`${sale.name} ${shard}`, { sale: sale.name, shard });
      }
    }
    return { outboxes: [...due.values()], minIdleMs: MIN_IDLE_MS };
  }

  async #read(outboxes: readonly Outbox[], minIdleMs: number): Promise<Read[]> {
    const { store, consumer } = this.#options;
    const reads = outboxes.map(async ({ sale, shard }) => {
      return { sale, shard, entries: await store.readOutbox(sale, shard, consumer, LIMIT, minIdleMs) };
    });
    const settled = await Promise.allSettled(reads);
    const read = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    // One shard that does not answer must not keep the others back; where none answers, the loop slows down.
    const failure = settled.find((one) => one.status === 'rejected');
    if (failure && read.length === 0) throw failure.reason;
    if (failure) this.#options.log.warn({ err: failure.reason as unknown }, 'an outbox could not be read');
    return read;
  }

  async #carry(reads: readonly Read[]): Promise<void> {
    this.#unsent = reads;
    await this.#send(reads);
    await this.#acknowledge(reads);
    this.#unsent = [];
  }

  async #send(reads: readonly Read[]): Promise<void> {
    const byTopic = new Map<TopicName, SaleEvent[]>();
    for (const { topic, events } of reads.flatMap(({ entries }) => entries)) {
      const known = byTopic.get(topic);
      if (known) known.push(...events);
      else byTopic.set(topic, [...events]);
    }
    await Promise.all([...byTopic].map(([topic, events]) => this.#options.sink.send(topic, events)));
    for (const events of byTopic.values()) relayed.inc(events.length);
  }

  async #acknowledge(reads: readonly Read[]): Promise<void> {
    const { store } = this.#options;
    const written = reads.filter(({ entries }) => entries.length > 0);
    await Promise.all(
      written.map(({ sale, shard, entries }) => {
        return store.acknowledgeOutbox(
          sale,
          shard,
          entries.map(({ entryId }) => entryId),
        );
      }),
    );
  }
}

/** A stream's entry id starts with its time, Unix ms by Redis. Infinity where there is no entry. */
function entryTime(entry: OutboxEntry | undefined): number {
  if (!entry) return Infinity;
  const time = Number.parseInt(entry.entryId, 10);
  return Number.isNaN(time) ? Infinity : time;
}
