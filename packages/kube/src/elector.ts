/**
 * One leader among processes, by a Lease. Follows client-go's tools/leaderelection: no clock is compared with another
 * machine's, each process measures by its own how long it has not seen the lease change.
 *
 * Why never two lead: a leader counts its time from before it sent a renewal that succeeded, and gives up after
 * `renewDeadlineMs`. Others take over at the earliest `leaseMs` after they saw that renewal, so later than it was
 * sent. That holds as long as no clock runs faster than another by the factor leaseMs / renewDeadlineMs (1.5 by
 * default). A process that stands still for longer finds `holds()` false when it goes on; what it had sent before is
 * for the receiver to refuse, by the fencing token.
 */
import { isConflict, isNotFound } from './api-error.ts';
import { pause, systemClock, type Clock } from './clock.ts';
import { microTime, type Lease, type LeaseApi, type LeaseSpec } from './lease.ts';
import { leaderMetrics } from './metrics.ts';
import { compareVersions, versionOf, type ObjectName } from './object.ts';
import type { Log } from './ports.ts';

export interface Timing {
  /** Others take over when the lease has not changed for so long. */
  readonly leaseMs: number;
  /** A leader that could not renew for so long leads no more. Less than `leaseMs`. */
  readonly renewDeadlineMs: number;
  /** Between two tries; each is spread over 1 to 1.2 of it. */
  readonly retryMs: number;
}

/** client-go's, and those of the control plane. */
export const DEFAULT_TIMING: Timing = { leaseMs: 15_000, renewDeadlineMs: 10_000, retryMs: 2000 };
const JITTER = 0.2;

/** One tenure. */
export interface Leadership {
  /**
   * Higher at each tenure: give it to what you write to, so that it can refuse a leader of the past. It is the resource
   * version of the write that won the lease, since `leaseTransitions` begins anew where somebody deletes the lease.
   * A cluster that is restored from a backup counts from an earlier one.
   */
  readonly token: number;
  /** Aborts when this process leads no more. */
  readonly signal: AbortSignal;
  /** Whether it leads at this very moment, by the clock: to be asked before each effect. */
  readonly holds: () => boolean;
}

export interface ElectorOptions {
  readonly lease: ObjectName;
  /** Of this process alone, and never used again: host name and a random part. */
  readonly identity: string;
  readonly api: LeaseApi;
  readonly log: Log;
  /** Awaited before the first try: a standby whose stores are synced takes over at once. */
  readonly warm?: () => Promise<void>;
  readonly onLeading: (leadership: Leadership) => void;
  /** The lease is lost. The process should end: what it started may be under way still. */
  readonly onLost: (reason: string) => void;
  /** The lease is in an older state than was seen: the cluster was restored, and so is everything that was read of it. */
  readonly onRestored?: () => void;
  readonly timing?: Timing;
  readonly clock?: Clock;
}

interface Tenure {
  readonly token: number;
  readonly abort: AbortController;
  until: number;
  cancelAlarm: () => void;
}

export class Elector {
  readonly name = 'elector';
  readonly #options: ElectorOptions;
  readonly #clock: Clock;
  readonly #timing: Timing;
  readonly #end = new AbortController();
  #running: Promise<void> = Promise.resolve();
  /** The lease as last seen, and when it was first seen so. */
  #seen: Lease | undefined;
  #seenAt = 0;
  #tenure: Tenure | undefined;
  #lost = false;

  constructor(options: ElectorOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#timing = options.timing ?? DEFAULT_TIMING;
    if (this.#timing.renewDeadlineMs >= this.#timing.leaseMs) throw new Error('renewDeadlineMs must be below leaseMs');
  }

  /** Begins to stand for election; does not wait for it. */
  start(): Promise<void> {
    this.#running = this.#run();
    return Promise.resolve();
  }

  /** Whether this process leads at this very moment. */
  leads(): boolean {
    return this.#tenure !== undefined && this.#clock.now() < this.#tenure.until;
  }

  /** Who held the lease when it was last seen; empty where nobody. */
  leader(): string {
    return this.#seen?.spec?.holderIdentity ?? '';
  }

  /** Stops to lead, and gives the lease back so that another takes over at once. First end the work it protects. */
  async stop(): Promise<void> {
    this.#end.abort();
    await this.#running;
    const tenure = this.#tenure;
    if (tenure !== undefined) this.#endTenure(tenure);
    // Also where it was won at the very end and no tenure began.
    if (!this.#lost && this.leader() === this.#options.identity) await this.#release();
  }

  async #run(): Promise<void> {
    const { signal } = this.#end;
    await Promise.race([this.#options.warm?.(), aborted(signal)]);
    while (!signal.aborted && !this.#lost) {
      await this.#try();
      await pause(this.#clock, this.#timing.retryMs * (1 + JITTER * this.#clock.random()), signal);
    }
  }

  async #try(): Promise<void> {
    try {
      if (await this.#acquireOrRenew()) return;
    } catch (error) {
      const { log, identity } = this.#options;
      log.warn({ err: error, identity, leading: this.leads() }, 'could not read or renew the lease');
    }
  }

  /** True where this process holds the lease now. Throws where that is not known. */
  async #acquireOrRenew(): Promise<boolean> {
    const leading = this.#tenure !== undefined;
    // What a leader saw last is most likely still true: one call instead of two.
    if (leading && this.#seen !== undefined && (await this.#write(this.#seen))) return true;
    const lease = await this.#read();
    if (lease === undefined) return this.#create();
    if (!this.#mayTake(lease)) {
      if (leading) this.#lose(`${this.leader()} holds the lease`);
      return false;
    }
    return this.#write(lease);
  }

  async #read(): Promise<Lease | undefined> {
    try {
      const lease = await this.#options.api.get(this.#options.lease);
      if (lease.metadata.resourceVersion !== this.#seen?.metadata.resourceVersion) this.#see(lease);
      return lease;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  #mayTake({ spec }: Lease): boolean {
    const holder = spec?.holderIdentity ?? '';
    if (holder === '') return true;
    if (holder === this.#options.identity) return !this.#lost;
    return this.#clock.now() >= this.#seenAt + (spec?.leaseDurationSeconds ?? 0) * 1000;
  }

  /** False where somebody else wrote in between. */
  #write(lease: Lease): Promise<boolean> {
    const { identity, api } = this.#options;
    const renews = lease.spec?.holderIdentity === identity;
    const transitions = lease.spec?.leaseTransitions ?? 0;
    const spec = this.#spec(renews ? transitions : transitions + 1, renews ? lease.spec.acquireTime : undefined);
    return this.#send(() => api.replace({ ...lease, spec: { ...lease.spec, ...spec } }));
  }

  /** A lease that somebody removed goes on where it was, as far as this process saw it. */
  #create(): Promise<boolean> {
    const { api, lease, identity } = this.#options;
    const before = this.#seen?.spec;
    const transitions = (before?.leaseTransitions ?? -1) + (before?.holderIdentity === identity ? 0 : 1);
    return this.#send(() => api.create({ metadata: { ...lease }, spec: this.#spec(transitions, undefined) }));
  }

  async #send(write: () => Promise<Lease>): Promise<boolean> {
    const sentAt = this.#clock.now();
    try {
      this.#see(await write());
    } catch (error) {
      if (isConflict(error)) return false;
      throw error;
    }
    this.#hold(sentAt + this.#timing.renewDeadlineMs);
    return true;
  }

  #spec(leaseTransitions: number, acquireTime: string | undefined): LeaseSpec {
    const now = microTime(this.#clock.date());
    return {
      holderIdentity: this.#options.identity,
      leaseDurationSeconds: Math.ceil(this.#timing.leaseMs / 1000),
      acquireTime: acquireTime ?? now,
      renewTime: now,
      leaseTransitions,
    };
  }

  #see(lease: Lease): void {
    const before = this.#seen;
    if (before && compareVersions(versionOf(lease), versionOf(before)) < 0) this.#options.onRestored?.();
    this.#seen = lease;
    this.#seenAt = this.#clock.now();
  }

  /** Leads until `until`, where that is not over already: an answer may come late. */
  #hold(until: number): void {
    if (this.#lost || this.#end.signal.aborted || until <= this.#clock.now()) return;
    const tenure = this.#tenure;
    if (tenure === undefined) {
      this.#begin(until);
    } else {
      tenure.until = until;
      this.#armAlarm(tenure);
    }
  }

  #begin(until: number): void {
    const { identity, log, onLeading } = this.#options;
    const token = Number(this.#seen?.metadata.resourceVersion);
    const tenure: Tenure = { token, abort: new AbortController(), until, cancelAlarm: () => undefined };
    this.#tenure = tenure;
    this.#armAlarm(tenure);
    leaderMetrics.leading.set({ name: this.#options.lease.name }, 1);
    log.info({ identity, token }, 'leading');
    const holds = (): boolean => this.#tenure === tenure && this.leads();
    onLeading({ token, signal: tenure.abort.signal, holds });
  }

  /** Ends the tenure in time, also while a call hangs. */
  #armAlarm(tenure: Tenure): void {
    tenure.cancelAlarm();
    const left = tenure.until - this.#clock.now();
    tenure.cancelAlarm = this.#clock.after(left, () => this.#lose('the lease could not be renewed in time'));
  }

  #lose(reason: string): void {
    const tenure = this.#tenure;
    if (tenure === undefined) return;
    this.#lost = true;
    this.#endTenure(tenure);
    this.#options.log.error({ identity: this.#options.identity, reason }, 'leads no more');
    this.#options.onLost(reason);
  }

  #endTenure(tenure: Tenure): void {
    tenure.cancelAlarm();
    this.#tenure = undefined;
    leaderMetrics.leading.set({ name: this.#options.lease.name }, 0);
    tenure.abort.abort(new Error('this process leads no more'));
  }

  async #release(): Promise<void> {
    const seen = this.#seen;
    if (seen?.spec === undefined) return;
    const now = microTime(this.#clock.date());
    const { holderIdentity, ...rest } = seen.spec;
    const spec = { ...rest, leaseDurationSeconds: 1, acquireTime: now, renewTime: now };
    try {
      await this.#options.api.replace({ ...seen, spec });
      this.#options.log.info({ identity: holderIdentity }, 'gave the lease back');
    } catch (error) {
      // It runs out by itself.
      this.#options.log.warn({ err: error }, 'could not give the lease back');
    }
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((done) => signal.addEventListener('abort', () => done(), { once: true }));
}
