/** What the domain needs from the world. Adapters live in packages/platform; `ports.contract.ts` checks each of them. */
import type { PurchaseReserved, PurchaseResolved, SaleEvent, TopicName } from './events.ts';
import type { ReserveCode, ResolveCode } from './outcome.ts';
import type { Buyer, Hold, Phase, PublishedSale, PurchaseStatus, Sale, ShardItem, StockLevel } from './types.ts';

/** One purchase of a reserve batch. All of a batch are for one sku in one shard. */
export interface ReserveRequest {
  readonly id: string;
  readonly buyer: Buyer;
  readonly quantity: number;
  readonly correlationId: string;
}

export interface ReserveAnswer {
  readonly code: ReserveCode;
  /** With `reserved` and `replayed`. */
  readonly hold?: Hold;
}

export interface ReleaseRequest {
  readonly id: string;
  readonly status: 'refused' | 'expired' | 'refunded';
  /** Epoch of the sale in which the purchase was reserved. */
  readonly epoch: number;
}

export interface SettleRequest {
  readonly id: string;
  readonly epoch: number;
}

export interface ResolveAnswer {
  readonly code: ResolveCode;
  /** The status the hold has now; absent where there is no hold. */
  readonly status?: PurchaseStatus;
}

/** What checkout needs to answer a purchase that its home shard cannot serve. */
export interface BorrowAnswer {
  /** Units moved into the home shard. 0: no shard had a free unit, nor was one on its way. */
  readonly moved: number;
  /** Units held and not yet paid in the whole sale: they may come back. */
  readonly held: number;
  /** Equal in two answers of one epoch: no free unit was added to the item between them, so none was sold where none was free. */
  readonly changes: number;
}

/** A hold that is past its time, as the sweeper finds it. */
export interface DueHold {
  readonly id: string;
  readonly sku: string;
}

/** One outbox entry, not yet acknowledged. `topic` says where it goes. */
export interface OutboxEntry {
  readonly entryId: string;
  readonly topic: TopicName;
  readonly events: readonly SaleEvent[];
}

/** The stock of sales in Redis. Every call has a deadline; a call that passed it may or may not have been carried out. */
export interface SaleStore {
  /** Redis TIME, Unix ms. */
  time(): Promise<number>;

  /**
   * Reserves a batch for one item in one shard: one script call, answers in the order of the requests.
   * Idempotent by purchase id. A buyer's units are counted against `perBuyer`.
   */
  reserve(sale: PublishedSale, at: ShardItem, batch: readonly ReserveRequest[]): Promise<ReserveAnswer[]>;
  /** Ends holds without a sale. Restores stock and frees the buyer's place, once only. */
  release(at: ShardItem, batch: readonly ReleaseRequest[]): Promise<ResolveAnswer[]>;
  /** Marks holds as paid: held becomes sold. */
  settle(at: ShardItem, batch: readonly SettleRequest[]): Promise<ResolveAnswer[]>;
  /**
   * Moves free units from the fullest other shard into `at`. Linearizable about emptiness: `moved: 0`
   * means that at one instant during the call no shard had `quantity` free units and none were in transit.
   * The same purchase may have been admitted through another process meanwhile: reserve once more before "sold out".
   */
  borrow(sale: PublishedSale, at: ShardItem, quantity: number): Promise<BorrowAnswer>;

  /** The hold of a purchase id, from the shard the id names. */
  hold(id: string): Promise<Hold | undefined>;
  /** Holds of a shard whose time has passed by Redis TIME, oldest first. */
  due(sale: string, shard: number, limit: number): Promise<DueHold[]>;

  /**
   * Entries for the relay; an entry handed out and not acknowledged for `minIdleMs` is handed out again.
   * Infinity: only what was never handed out, which costs one command less.
   */
  readOutbox(sale: string, shard: number, consumer: string, limit: number, minIdleMs: number): Promise<OutboxEntry[]>;
  acknowledgeOutbox(sale: string, shard: number, entryIds: readonly string[]): Promise<void>;
  /** Forgets consumers that asked for nothing for more than `idleMs` and hold no entry. Returns how many. */
  forgetRelays(sale: string, shard: number, idleMs: number): Promise<number>;
  /** Every entry not yet acknowledged, of the shards that still have their outbox. Takes none from a relay. */
  peekOutbox(sale: Sale): Promise<OutboxEntry[]>;

  /** Loads stock where absent or of an older epoch; never overwrites the same or a later one. Returns the epoch found. */
  warm(sale: Sale, epoch: number): Promise<number>;
  /** Replaces a sale's state under a new, higher epoch from what ledger and log say. The old state is gone after it. */
  rebuild(sale: Sale, epoch: number, holds: readonly Hold[]): Promise<void>;
  /** Updates the window, the pause flag and raised stock. Where a shard is not warm it throws, after the others were told. */
  configure(sale: Sale, epoch: number): Promise<void>;
  /** Stops reservations for good. Idempotent. */
  close(sale: string, shards: number, epoch: number): Promise<void>;
  /** Removes every key of the sale. */
  purge(sale: Sale): Promise<void>;
  /** Marks buyers as members of a members-only sale. */
  admitMembers(sale: Sale, buyerNumbers: readonly number[]): Promise<void>;

  /** Undefined where any shard is not warm. Else the epoch and the counters, units in transit counted as free. */
  inspect(sale: Sale): Promise<SaleInspection | undefined>;
  /** Every hold of the sale, read by scanning, independent of the counters. */
  holds(sale: Sale): AsyncIterable<Hold>;

  /** Makes the sale known to the services, and tells them. */
  publish(sale: PublishedSale): Promise<void>;
  unpublish(sale: string): Promise<void>;
  published(): Promise<PublishedSale[]>;
  /** A counter that changes with each publish, unpublish and new existence filter. */
  publishedVersion(): Promise<number>;
  /** As `publishedVersion`, with what tells cheaply that a part of the registry was lost. */
  publishedMark(): Promise<PublishedMark>;
  /** Replaces the existence filter (`Existence.bytes`): every sale and sku that there is or ever was. */
  writeExistence(bytes: Uint8Array): Promise<void>;
  /** Undefined where none was written yet, or Redis lost it: then nothing may be ruled out. */
  existence(): Promise<Uint8Array | undefined>;
}

/** What the registry looks like from afar. */
export interface PublishedMark {
  readonly version: number;
  /** How many sales are published. */
  readonly sales: number;
  /** Whether there is an existence filter. */
  readonly existence: boolean;
}

export interface SaleInspection {
  readonly epoch: number;
  readonly items: ReadonlyMap<string, StockLevel>;
  /** Entries in the outbox not yet acknowledged. */
  readonly outbox: number;
}

/** What the push channel carries to one buyer. */
export interface BuyerUpdate {
  readonly buyer: string;
  readonly purchase: {
    readonly id: string;
    readonly sale: string;
    readonly sku: string;
    readonly quantity: number;
    readonly status: PurchaseStatus;
    readonly reason?: string;
  };
}

/** Pushes and signals over Pub/Sub: at most once, so nothing may depend on them for exactness. */
export interface Signals {
  /** To the live servers on which the buyers are connected. */
  notifyBuyers(updates: readonly BuyerUpdate[]): Promise<void>;
  /** To everyone: stock of a sale, or its phase. */
  broadcast(message: BroadcastMessage): Promise<void>;
  /** Calls `onMessage` for each broadcast; `onReset` after the subscription was interrupted. Returns the unsubscribe. */
  subscribe(onMessage: (message: BroadcastMessage) => void, onReset: () => void): Promise<() => Promise<void>>;
}

export type BroadcastMessage =
  | {
      readonly type: 'stock';
      readonly sale: string;
      readonly items: readonly {
        readonly sku: string;
        readonly free: number;
        readonly held: number;
        readonly sold: number;
      }[];
    }
  | { readonly type: 'phase'; readonly sale: string; readonly phase: Phase; readonly at: number }
  /** Units came back to an item (release or refund): "sold out" must be asked again. */
  | { readonly type: 'returned'; readonly sale: string; readonly sku: string }
  /** The published sales changed. */
  | { readonly type: 'published'; readonly sale: string };

/** Offsets of one partition. `committed` -1: no offset; `end` null: absent from the broker's answer. */
export interface PartitionOffsets {
  readonly partition: number;
  readonly committed: number;
  readonly start: number;
  readonly end: number | null;
}

/** The log (Kafka) as the operator and the proof read it. */
export interface PurchaseLog {
  offsets(topic: string, group: string): Promise<PartitionOffsets[]>;
  /** Every record of the topic up to the end offsets at the time of the call. Bounded; ends by itself. */
  readAll(topic: TopicName): AsyncIterable<SaleEvent>;
}

/** A sold or otherwise resolved purchase, as the ledger has it. */
export interface LedgerEntry {
  readonly id: string;
  readonly sale: string;
  readonly sku: string;
  readonly buyer: string;
  readonly buyerNumber?: number;
  readonly quantity: number;
  readonly status: PurchaseStatus;
  readonly amountMinor: number;
  readonly currency: string;
  /** Unix ms when it was reserved. */
  readonly reservedAt: number;
}

export interface LedgerTotals {
  readonly sku: string;
  readonly allocated: number;
  readonly sold: number;
}

/** The ledger (PostgreSQL, in orders) as the operator and the proof reach it. */
export interface Ledger {
  /** Sets what may be sold of each item, and each item's limit a buyer. Refuses less than what is sold. */
  allocate(sale: Sale): Promise<void>;
  /** The guard's own counters; empty where the sale was never allocated. */
  totals(sale: string): Promise<LedgerTotals[]>;
  entries(sale: string): AsyncIterable<LedgerEntry>;
  /** Every item of every sale that was ever allocated. */
  sales(): AsyncIterable<{ readonly sale: string; readonly sku: string }>;
}

/** A workload as a sale names it, in the sale's namespace. */
export interface WorkloadTarget {
  readonly namespace: string;
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
}

export interface WorkloadState {
  readonly desired: number;
  readonly ready: number;
  /** Kind and name of an autoscaler that looks after the workload: then it is left alone. */
  readonly heldBy?: string;
}

/** The workloads a sale scales. */
export interface Workloads {
  /** Targets of one id are one workload: sales of several namespaces may share it. */
  id(target: WorkloadTarget): string;
  /** Undefined where there is no such workload. */
  get(target: WorkloadTarget): Promise<WorkloadState | undefined>;
  scale(target: WorkloadTarget, replicas: number): Promise<void>;
}

export type { PurchaseReserved, PurchaseResolved };
