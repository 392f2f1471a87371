/**
 * Calls from processes to stores. A call takes its way there, has its effect in one instant, and its answer takes its way
 * back; the plan says which calls are lost, late, carried out twice, or the last thing their process did.
 */
import { DeadlineError } from '@flashsale/platform/deadline';
import type { Life } from './life.ts';
import { randomOf, type Random } from './random.ts';
import type { Scheduler } from './scheduler.ts';

/** What the plan does to one call. */
export const CALL_FAULTS = [
  /** The process crashes instead of calling. */
  'crash before',
  /** The call is carried out; the process crashes before it hears of it. */
  'crash after',
  /** The call is carried out, its answer is lost. */
  'lost answer',
  /** The call is lost. */
  'lost call',
  /** The client sends it again, since the connection broke: it is carried out twice. */
  'twice',
  /** It arrives when its caller has given it up. */
  'late',
] as const;
export type CallFault = (typeof CALL_FAULTS)[number];

export interface Store {
  readonly name: 'redis' | 'kafka' | 'orders-db' | 'payments-db' | 'orders-http' | 'checkout-http' | 'kube';
  /** Longest wait for an answer, in ms. */
  readonly deadlineMs: number;
  /** The error that a caller sees where the store cannot be reached, or does not answer in time. */
  readonly unreachable: (what: string) => Error;
}

export interface NetworkHooks {
  /** What happens to this process' `nth` call (from 0, over all its lives). */
  faultAt(process: string, nth: number, store: Store['name'], what: string): CallFault | undefined;
  /** Whether the process cannot reach the store now. */
  isCut(process: string, store: Store['name']): 'refused' | 'silent' | undefined;
  crash(life: Life, why: string): void;
  trace(text: string): void;
  readonly tracing: boolean;
}

export interface CallOptions {
  /** Calls of one lane arrive, and are answered, in the order in which they were sent, as on one connection. */
  readonly lane?: string;
  /** What is told of it in a trace. */
  readonly detail?: () => string;
}

interface Lane {
  arrivesAt: number;
  answeredAt: number;
}

export class Network {
  readonly #scheduler: Scheduler;
  readonly #hooks: NetworkHooks;
  readonly #seed: number;
  /** Calls by process, over all its lives. */
  readonly calls = new Map<string, number>();
  readonly #randoms = new WeakMap<Life, Random>();
  readonly #lanes = new WeakMap<Life, Map<string, Lane>>();

  constructor(scheduler: Scheduler, seed: number, hooks: NetworkHooks) {
    this.#scheduler = scheduler;
    this.#seed = seed;
    this.#hooks = hooks;
  }

  /** `effect` is carried out at the store, once it arrives. Never settles where the process dies. */
  call<T>(life: Life, store: Store, what: string, effect: () => T | Promise<T>, options: CallOptions = {}): Promise<T> {
    const nth = this.calls.get(life.name) ?? 0;
    this.calls.set(life.name, nth + 1);
    const fault = this.#hooks.faultAt(life.name, nth, store.name, what);
    if (this.#hooks.tracing) {
      const mark = fault ? `   [${fault}]` : '';
      this.#hooks.trace(`${life.name} #${nth} → ${store.name} ${what} ${options.detail?.() ?? ''}${mark}`);
    }
    if (fault === 'crash before') {
      this.#hooks.crash(life, `before ${store.name} ${what}`);
      return new Promise(() => undefined);
    }
    return new Promise<T>((resolve, reject) => {
      new Call<T>(this, { life, store, what, effect, resolve, reject }).send(fault, options);
    });
  }

  get scheduler(): Scheduler {
    return this.#scheduler;
  }
  get hooks(): NetworkHooks {
    return this.#hooks;
  }

  /** Mostly about a millisecond, sometimes much more. */
  latency(life: Life): number {
    let random = this.#randoms.get(life);
    if (!random) this.#randoms.set(life, (random = randomOf(this.#seed, 'network', life.name, life.number)));
    const drawn = random.next();
    const spread = random.next();
    if (drawn < 0.8) return 0.2 + spread * 1.8;
    if (drawn < 0.95) return 2 + spread * 10;
    return drawn < 0.995 ? 12 + spread * 50 : 60 + spread * 200;
  }

  lane(life: Life, name: string | undefined): Lane {
    if (name === undefined) return { arrivesAt: 0, answeredAt: 0 };
    const lanes = this.#lanes.get(life) ?? new Map<string, Lane>();
    this.#lanes.set(life, lanes);
    const lane = lanes.get(name) ?? { arrivesAt: 0, answeredAt: 0 };
    lanes.set(name, lane);
    return lane;
  }
}

interface Asked<T> {
  readonly life: Life;
  readonly store: Store;
  readonly what: string;
  readonly effect: () => T | Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

class Call<T> {
  readonly #network: Network;
  readonly #asked: Asked<T>;
  #cancelDeadline: () => void = () => undefined;
  #lane: Lane = { arrivesAt: 0, answeredAt: 0 };

  constructor(network: Network, asked: Asked<T>) {
    this.#network = network;
    this.#asked = asked;
  }

  send(fault: CallFault | undefined, { lane }: CallOptions): void {
    const { scheduler, hooks } = this.#network;
    this.#lane = this.#network.lane(this.#asked.life, lane);
    const cut = hooks.isCut(this.#asked.life.name, this.#asked.store.name);
    if (cut === 'refused') {
      scheduler.after(this.#network.latency(this.#asked.life), this.#asked.life, () =>
        this.#asked.reject(this.#unreachable()),
      );
      return;
    }
    this.#armDeadline();
    if (cut === 'silent' || fault === 'lost call') return;
    const late = fault === 'late' ? this.#asked.store.deadlineMs * 1.1 : 0;
    const at = Math.max(this.#lane.arrivesAt, scheduler.now + this.#network.latency(this.#asked.life) + late);
    this.#lane.arrivesAt = at;
    scheduler.after(at - scheduler.now, undefined, () => void this.#arrive(fault));
    if (fault === 'twice') {
      scheduler.after(
        at - scheduler.now + this.#asked.store.deadlineMs * 0.2,
        undefined,
        () => void this.#arrive(undefined),
      );
    }
  }

  #armDeadline(): void {
    const { scheduler } = this.#network;
    this.#cancelDeadline = scheduler.after(this.#asked.store.deadlineMs, this.#asked.life, () =>
      this.#asked.reject(this.#unreachable()),
    );
  }

  #unreachable(): Error {
    return this.#asked.store.unreachable(this.#asked.what);
  }

  async #arrive(fault: CallFault | undefined): Promise<void> {
    let answer: () => void;
    try {
      const value = await this.#asked.effect();
      answer = () => this.#asked.resolve(value);
    } catch (error) {
      answer = () => this.#asked.reject(error instanceof Error ? error : new Error(String(error)));
    }
    if (fault === 'crash after')
      this.#network.hooks.crash(this.#asked.life, `after ${this.#asked.store.name} ${this.#asked.what}`);
    // Of one that is sent twice, the first answer is the lost one.
    if (fault === 'lost answer' || fault === 'twice') return;
    this.#answer(answer);
  }

  #answer(answer: () => void): void {
    const { scheduler, hooks } = this.#network;
    if (hooks.isCut(this.#asked.life.name, this.#asked.store.name)) return;
    const at = Math.max(this.#lane.answeredAt, scheduler.now + this.#network.latency(this.#asked.life));
    this.#lane.answeredAt = at;
    scheduler.after(at - scheduler.now, this.#asked.life, () => {
      this.#cancelDeadline();
      answer();
    });
  }
}

export const tooLate = (store: string, deadlineMs: number) => (what: string) =>
  new DeadlineError(`${store} ${what}`, deadlineMs);
