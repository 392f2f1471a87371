/** A service that runs in as many replicas as the operator asks for, in place of a Deployment. */
import { freePorts } from '../ports.ts';
import { isReady } from './launch.ts';
import { Supervised, type Launched, type State } from './supervised.ts';

export interface Replica {
  /** `payments-1`; the first has the fixed ports. */
  readonly name: string;
  readonly port: number;
  readonly adminPort: number;
}

export interface WorkloadOptions {
  readonly name: string;
  readonly port: number;
  readonly adminPort: number;
  readonly launch: (replica: Replica, signal: AbortSignal) => Promise<Launched>;
  readonly onState: (name: string, state: State, detail?: string) => void;
}

/** More processes than this help nobody on one machine. */
export const MAX_REPLICAS = 50;
/** Replicas that start at the same time: more would only make each of them slower. */
const STARTING = 4;

interface Running {
  readonly replica: Replica;
  readonly supervised: Supervised;
}

export class Workload {
  readonly name: string;
  readonly #options: WorkloadOptions;
  readonly #replicas: Running[] = [];
  #desired = 0;
  #work: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(options: WorkloadOptions) {
    this.name = options.name;
    this.#options = options;
  }

  /** `ready` is asked from each replica at this moment. */
  async status(): Promise<{ desired: number; ready: number }> {
    const up = this.#replicas.filter(({ supervised }) => supervised.state === 'ready');
    const asked = up.map(({ replica }) => isReady(replica.adminPort).catch(() => false));
    return { desired: this.#desired, ready: (await Promise.all(asked)).filter(Boolean).length };
  }

  /** Asks for that many replicas (0 to 50) and returns at once. Throws RangeError. */
  scale(replicas: number): void {
    if (!Number.isInteger(replicas) || replicas < 0 || replicas > MAX_REPLICAS) {
      throw new RangeError(`replicas must be a whole number from 0 to ${MAX_REPLICAS}`);
    }
    if (this.#stopped) return;
    this.#desired = replicas;
    // One change at a time; each looks at what is wanted by then.
    this.#work = this.#work.then(() => this.#converge());
  }

  /** Resolves when the changes asked for so far were carried out. */
  settled(): Promise<void> {
    return this.#work;
  }

  /** Stops all replicas for good. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#desired = 0;
    await Promise.all(this.#replicas.map(({ supervised }) => supervised.stop()));
    await this.#work;
    await Promise.all(this.#replicas.map(({ supervised }) => supervised.stop()));
  }

  /** Starts the first replica and resolves when it is ready. Throws where it cannot be started. */
  async start(): Promise<void> {
    this.#desired = 1;
    const [first] = await this.#add(1);
    await first?.supervised.start();
  }

  async #converge(): Promise<void> {
    while (this.#replicas.length < this.#desired) {
      const count = Math.min(STARTING, this.#desired - this.#replicas.length);
      const added = await this.#add(count);
      await Promise.all(added.map((running) => this.#startOrDrop(running)));
    }
    if (this.#replicas.length > this.#desired) {
      const surplus = this.#replicas.splice(this.#desired);
      await Promise.all(surplus.map(({ supervised }) => supervised.stop()));
    }
  }

  /** A replica that cannot start is told of and dropped; the operator sees `ready` below `desired` and asks again. */
  async #startOrDrop(running: Running): Promise<void> {
    try {
      await running.supervised.start();
    } catch (error) {
      this.#replicas.splice(this.#replicas.indexOf(running), 1);
      this.#desired = Math.min(this.#desired, this.#replicas.length);
      const detail = error instanceof Error ? error.message : String(error);
      this.#options.onState(running.replica.name, 'failed', detail);
    }
  }

  async #add(count: number): Promise<Running[]> {
    const added: Running[] = [];
    for (let i = 0; i < count && !this.#stopped; i += 1) {
      const number = this.#freeNumber();
      const replica = await this.#replica(number);
      const { launch, onState } = this.#options;
      const supervised = new Supervised({
        name: replica.name,
        launch: (signal) => launch(replica, signal),
        onState,
      });
      const running = { replica, supervised };
      this.#replicas.push(running);
      added.push(running);
    }
    return added;
  }

  #freeNumber(): number {
    const names = new Set(this.#replicas.map(({ replica }) => replica.name));
    let number = 1;
    while (names.has(`${this.name}-${number}`)) number += 1;
    return number;
  }

  async #replica(number: number): Promise<Replica> {
    const name = `${this.name}-${number}`;
    if (number === 1) return { name, port: this.#options.port, adminPort: this.#options.adminPort };
    const [port = 0, adminPort = 0] = await freePorts(2);
    return { name, port, adminPort };
  }
}
