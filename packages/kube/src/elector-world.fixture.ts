/** Electors in a simulated world: clocks that differ, calls that are slow or lost, processes that stand still. */
import { ApiError } from './api-error.ts';
import { Elector, type Leadership, type Timing } from './elector.ts';
import type { Lease, LeaseApi } from './lease.ts';
import { silent, World, type Process } from './world.fixture.ts';

const NAME = { name: 'lease', namespace: 'test' };

/** The lease as the server holds it. */
export class LeaseServer {
  lease: Lease | undefined;
  #version = 0;

  get(): Lease {
    if (this.lease === undefined) throw new ApiError('get', { code: 404 });
    return this.lease;
  }

  create(lease: Lease): Lease {
    if (this.lease !== undefined) throw new ApiError('create', { code: 409, reason: 'AlreadyExists' });
    return this.#store(lease);
  }

  replace(lease: Lease): Lease {
    if (this.lease?.metadata.resourceVersion !== lease.metadata.resourceVersion) {
      throw new ApiError('replace', { code: 409, reason: 'Conflict' });
    }
    return this.#store(lease);
  }

  backup(): Lease {
    return this.get();
  }

  /** Goes back to a state of before; versions count on from there. */
  restore(backup: Lease): void {
    this.lease = backup;
    this.#version = Number(backup.metadata.resourceVersion);
  }

  #store(lease: Lease): Lease {
    this.#version += 1;
    return (this.lease = { ...lease, metadata: { ...lease.metadata, resourceVersion: String(this.#version) } });
  }
}

/** The server over a way that takes no time and loses nothing; refusals are rejections. */
export function apiOf(server: LeaseServer): LeaseApi {
  return {
    get: () => Promise.resolve().then(() => server.get()),
    create: (lease) => Promise.resolve().then(() => server.create(lease)),
    replace: (lease) => Promise.resolve().then(() => server.replace(lease)),
  };
}

export interface Faults {
  /** Longest way of a message, ms. */
  latencyMs: number;
  /** Chance that a request, or its answer, is lost. */
  loss: number;
}

/** One machine: when its elector has lost, the next process of it begins anew. */
export class Machine {
  readonly process: Process;
  readonly tenures: Leadership[] = [];
  elector: Elector;
  #incarnation = 0;
  readonly #world: World;
  readonly #server: LeaseServer;
  readonly #faults: Faults;
  readonly #random: () => number;
  readonly #timing: Timing | undefined;
  readonly #name: string;

  constructor(options: {
    name: string;
    rate: number;
    world: World;
    server: LeaseServer;
    faults: Faults;
    random: () => number;
    timing?: Timing;
  }) {
    this.#name = options.name;
    this.process = { rate: options.rate, pausedUntil: 0 };
    this.#world = options.world;
    this.#server = options.server;
    this.#faults = options.faults;
    this.#random = options.random;
    this.#timing = options.timing;
    this.elector = this.#begin();
  }

  leads(): boolean {
    return this.elector.leads();
  }

  #begin(): Elector {
    this.#incarnation += 1;
    const elector = new Elector({
      lease: NAME,
      identity: `${this.#name}-${this.#incarnation}`,
      api: this.#api(),
      log: silent,
      clock: this.#world.clock(this.process),
      onLeading: (leadership) => this.tenures.push(leadership),
      onLost: () => (this.elector = this.#begin()),
      ...(this.#timing === undefined ? {} : { timing: this.#timing }),
    });
    void elector.start();
    return elector;
  }

  #api(): LeaseApi {
    return {
      get: () => this.#call(() => this.#server.get()),
      create: (lease) => this.#call(() => this.#server.create(lease)),
      replace: (lease) => this.#call(() => this.#server.replace(lease)),
    };
  }

  /** There and back; what is lost on the way back was carried out. */
  async #call(act: () => Lease): Promise<Lease> {
    const way = (): Promise<void> => this.#world.wait(this.#random() * this.#faults.latencyMs);
    const lost = (): boolean => this.#random() < this.#faults.loss;
    await way();
    if (lost()) throw await this.#timeout();
    const outcome = attempt(act);
    if (lost()) throw await this.#timeout();
    await way();
    // An answer waits in the socket of a process that stands still.
    await this.#world.wait(0, this.process);
    if (outcome instanceof Error) throw outcome;
    return outcome;
  }

  async #timeout(): Promise<Error> {
    await this.#world.wait(3000, this.process);
    return new Error('no answer in time');
  }
}

function attempt(act: () => Lease): Lease | Error {
  try {
    return act();
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
