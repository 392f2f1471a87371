/** Runs `reconcile` for each sale when it is due, on the engine's queue: one pass at a time a sale, sales beside each other. */
import { Controller, type Result } from '@flashsale/kube/controller';
import { WorkQueue } from '@flashsale/kube/queue';
import { Names } from './names.ts';
import { urgencyOf } from './pace.ts';
import { reconcile } from './reconcile.ts';
import { Registry } from './registry.ts';
import { keyOf, nameOf, type ResourceName, type SaleResource } from './resources.ts';
import { recall } from './scale.ts';
import { newMemory, type OperatorDeps, type PassDeps, type SaleMemory } from './scope.ts';

const NAME = 'flashsale';
/** Passes at a time. They mostly wait for servers; more of them at once would make each slower. */
const WORKERS = 50;
/** After failed passes of one sale, and of all together: a server that is back must not wait long for anybody. */
const BACKOFF = { firstMs: 250, mostMs: 5_000 };
const BUCKET = { perSecond: 50, burst: 500 };
/** The calls of a pass have deadlines of their own; to read a long log takes many of them. */
const DEADLINE_MS = 30 * 60_000;
/** A clock that moved by more, at once or bit by bit: what was to wait for an instant may be late. */
const JUMP_MS = 2_000;

export interface Runner {
  /** Begins to work on what is due; nothing is before the first `sweep`. */
  start(): Promise<void>;
  /** Lists the resources and makes each due now. Throws where they cannot be listed. */
  sweep(): Promise<void>;
  /** Makes a sale due now: its resource has changed. */
  wake(changed: ResourceName): void;
  /** Compares what is published, after a first sweep: what is lost is published again, and its sales are due. */
  look(): Promise<void>;
  /** Resolves when no pass is due or under way. */
  idle(): Promise<void>;
  /** Begins no pass any more, and resolves when none is under way. */
  drain(): Promise<void>;
}

export function createRunner(deps: OperatorDeps): Runner {
  return new SaleRunner(deps);
}

class SaleRunner implements Runner {
  readonly #deps: PassDeps;
  readonly #queue: WorkQueue;
  readonly #controller: Controller;
  readonly #names = new Names();
  readonly #registry: Registry;
  readonly #memories = new Map<string, SaleMemory>();
  #swept = false;
  /** What changed since the last list was begun: it may be missing there. */
  #changed: Set<string> | undefined;
  /** Redis TIME minus our own clock, as it was when every sale was due last. */
  #shift: number | undefined;

  constructor(deps: OperatorDeps) {
    const { store, known, note, timers } = deps;
    this.#registry = new Registry({ store, known, note, now: () => timers.now() });
    this.#deps = { ...deps, registry: this.#registry };
    this.#queue = new WorkQueue({ name: NAME, backoff: BACKOFF, bucket: BUCKET, clock: timers });
    const log = { debug: note, info: note, warn: note, error: note };
    this.#controller = new Controller({
      name: NAME,
      workers: WORKERS,
      deadlineMs: DEADLINE_MS,
      queue: this.#queue,
      clock: timers,
      log,
      reconcile: (key) => this.#pass(key),
    });
  }

  start(): Promise<void> {
    return this.#controller.start();
  }

  async sweep(): Promise<void> {
    const changed = (this.#changed = new Set());
    const resources = await this.#deps.resources.list();
    // Those that are known have a pass of their own to read them; this list may be older than its last write.
    const fresh = resources.filter((resource) => !this.#memories.has(keyOf(resource)));
    for (const resource of fresh) this.#learn(resource);
    for (const { status, ...name } of fresh) if (status && this.#names.owns(name)) recall(status, this.#deps);
    this.#swept = true;
    this.#wakeAll();
    for (const key of changed) this.#queue.add(key);
  }

  wake(changed: ResourceName): void {
    // Until all are known, a name may have another owner.
    if (this.#swept) this.#queue.add(keyOf(changed));
    else this.#changed?.add(keyOf(changed));
  }

  async look(): Promise<void> {
    if (!this.#swept) await this.sweep();
    const [lost] = await Promise.all([this.#registry.look(), this.#lookAtClock()]);
    if (lost === 'all') this.#wakeAll();
    else for (const name of lost) this.#wakeNames([this.#names.ownerOf(name)]);
  }

  idle(): Promise<void> {
    return this.#queue.idle();
  }

  drain(): Promise<void> {
    return this.#controller.stop();
  }

  async #pass(key: string): Promise<Result> {
    if (this.#isStopping()) return undefined;
    const resource = await this.#deps.resources.get(nameOf(key));
    if (!resource) {
      this.#forget(key);
      return undefined;
    }
    const memory = this.#learn(resource);
    try {
      const requeueAfterMs = await reconcile(resource, memory, this.#deps, this.#names.refusalOf(resource));
      if (requeueAfterMs !== undefined) return { requeueAfterMs };
      this.#forget(key);
      return undefined;
    } catch (error) {
      // One that was cut short by the drain has not failed.
      if (this.#isStopping()) return undefined;
      throw error;
    } finally {
      if (this.#memories.has(key)) this.#note(resource, memory);
    }
  }

  #isStopping(): boolean {
    return this.#deps.stopping.aborted;
  }

  /** Takes in what a resource says of itself. */
  #learn(resource: SaleResource): SaleMemory {
    const key = keyOf(resource);
    const memory = this.#memories.get(key) ?? newMemory();
    this.#memories.set(key, memory);
    memory.status = resource.status;
    this.#note(resource, memory);
    return memory;
  }

  #note(resource: ResourceName, { status }: SaleMemory): void {
    this.#wakeNames(this.#names.set(resource, status));
    if (this.#names.owns(resource)) this.#registry.owe(resource.name, status);
  }

  #forget(key: string): void {
    const resource = nameOf(key);
    this.#memories.delete(key);
    if (this.#names.owns(resource)) {
      this.#registry.forget(resource.name);
      this.#deps.demands.dropSale(resource.name);
    }
    this.#wakeNames(this.#names.drop(resource));
  }

  /** Instants are waited for by our own clock: where Redis' has moved against it, every sale asks anew. */
  async #lookAtClock(): Promise<void> {
    const { clock, store, timers } = this.#deps;
    const now = await clock.read('redis', () => store.time()).catch(() => undefined);
    if (now === undefined) return;
    const shift = now - timers.now();
    this.#shift ??= shift;
    if (Math.abs(shift - this.#shift) <= JUMP_MS) return;
    this.#shift = shift;
    this.#wakeAll();
  }

  #wakeAll(): void {
    const byUrgency = [...this.#memories].toSorted(([, a], [, b]) => urgencyOf(a.status) - urgencyOf(b.status));
    for (const [key] of byUrgency) this.#queue.add(key);
  }

  #wakeNames(resources: readonly (ResourceName | undefined)[]): void {
    for (const resource of resources) if (resource) this.wake(resource);
  }
}
