/** Runs `reconcile` for each sale when it is due: one pass at a time a sale, sales beside each other, errors contained to their sale. */
import { isFinal, type PublishedSale, type SaleProblem } from '@flashsale/sale';
import { countPass } from './metrics.ts';
import { reconcile } from './reconcile.ts';
import type { SaleResource } from './resources.ts';
import { newMemory, type OperatorDeps, type SaleMemory } from './scope.ts';
import type { SaleStatus } from './status.ts';

/** Pause after failed passes of one sale: doubles from here to the longest, in ms. */
const FIRST_BACKOFF_MS = 250;
const LONGEST_BACKOFF_MS = 5_000;
/** How often the folder is listed although nothing is due, and what is published is compared, in ms. */
const LIST_MS = 1_000;
const REGISTRY_MS = 500;

interface Lane {
  readonly name: string;
  readonly memory: SaleMemory;
  /** When the next pass is due, by our own monotonic clock in ms. */
  dueAt: number;
  failures: number;
  running: Promise<void> | undefined;
  /** When the last pass ended. */
  endedAt: number;
  /** Something changed while a pass was under way. */
  woken: boolean;
}

export interface Runner {
  /** Starts a pass for every sale that is due and has none under way. Throws where the resources cannot be listed. */
  tick(): Promise<void>;
  /** Makes a sale due now; every sale where none is named. */
  wake(changed?: Pick<SaleResource, 'namespace' | 'name'>): void;
  /** Resolves when no pass is under way. */
  idle(): Promise<void>;
}

export function createRunner(deps: OperatorDeps): Runner {
  return new SaleRunner(deps);
}

const keyOf = ({ namespace, name }: Pick<SaleResource, 'namespace' | 'name'>): string => `${namespace}/${name}`;

class SaleRunner implements Runner {
  readonly #deps: OperatorDeps;
  readonly #lanes = new Map<string, Lane>();
  readonly #registry: RegistryWatch;
  #listAt = 0;

  constructor(deps: OperatorDeps) {
    this.#deps = deps;
    this.#registry = new RegistryWatch(deps, () => this.#lanes.values());
  }

  async tick(): Promise<void> {
    if (this.#deps.stopping.aborted) return;
    const listedAt = performance.now();
    const due = [...this.#lanes.values()].some((lane) => !lane.running && lane.dueAt <= listedAt);
    if (due || listedAt >= this.#listAt) await this.#beginDue(listedAt);
    this.#registry.look();
  }

  async #beginDue(listedAt: number): Promise<void> {
    const resources = await this.#deps.resources.list();
    this.#listAt = listedAt + LIST_MS;
    this.#prune(resources);
    const owners = ownersOf(resources);
    // A pass under way may be removing the sale.
    const isLeaving = (one: SaleResource): boolean =>
      one.deleting && this.#lanes.get(keyOf(one))?.running !== undefined;
    const own = resources.filter((one) => refusalOf(one, owners) === undefined && !isLeaving(one));
    await this.#registry.restore(own);
    for (const resource of resources) this.#begin(resource, listedAt, refusalOf(resource, owners));
  }

  wake(changed?: Pick<SaleResource, 'namespace' | 'name'>): void {
    this.#listAt = 0;
    const lane = changed && this.#lanes.get(keyOf(changed));
    for (const each of changed ? (lane ? [lane] : []) : this.#lanes.values()) {
      each.dueAt = 0;
      each.woken = true;
    }
  }

  async idle(): Promise<void> {
    await this.#registry.idle();
    await Promise.all([...this.#lanes.values()].flatMap((lane) => lane.running ?? []));
  }

  #begin(resource: SaleResource, listedAt: number, refusal: SaleProblem | undefined): void {
    const lane = this.#laneOf(resource);
    if (lane.running || lane.dueAt > performance.now() || this.#deps.stopping.aborted) return;
    // Listed while a pass was still writing: what was read may be older than what that pass has done.
    if (lane.endedAt >= listedAt) return;
    lane.woken = false;
    lane.running = this.#pass(resource, lane, refusal).finally(() => {
      lane.running = undefined;
      lane.endedAt = performance.now();
    });
  }

  #laneOf(resource: SaleResource): Lane {
    const known = this.#lanes.get(keyOf(resource));
    if (known) return known;
    const lane: Lane = {
      name: resource.name,
      memory: newMemory(),
      dueAt: 0,
      failures: 0,
      running: undefined,
      endedAt: 0,
      woken: false,
    };
    this.#lanes.set(keyOf(resource), lane);
    return lane;
  }

  async #pass(resource: SaleResource, lane: Lane, refusal: SaleProblem | undefined): Promise<void> {
    const started = performance.now();
    try {
      const next = await reconcile(resource, lane.memory, this.#deps, refusal);
      lane.failures = 0;
      lane.dueAt = lane.woken ? 0 : performance.now() + (next ?? 0);
      if (next === undefined) this.#drop(keyOf(resource), lane);
      countPass(next === undefined ? 'success' : 'requeue_after', performance.now() - started);
    } catch (error) {
      lane.failures += 1;
      lane.dueAt = performance.now() + Math.min(FIRST_BACKOFF_MS * 2 ** (lane.failures - 1), LONGEST_BACKOFF_MS);
      if (this.#deps.stopping.aborted) return;
      countPass('error', performance.now() - started);
      this.#deps.note({ sale: resource.name, failures: lane.failures, err: error }, 'a pass failed');
    }
  }

  #prune(resources: readonly SaleResource[]): void {
    const listed = new Set(resources.map(keyOf));
    for (const [key, lane] of this.#lanes) if (!listed.has(key) && !lane.running) this.#drop(key, lane);
  }

  #drop(key: string, lane: Lane): void {
    this.#lanes.delete(key);
    this.#deps.demands.dropSale(lane.name);
  }
}

/** Which resource has each name: the one whose sale has begun, else the first. Stock and ledger know a sale by its name alone. */
function ownersOf(resources: readonly SaleResource[]): Map<string, SaleResource> {
  const owners = new Map<string, SaleResource>();
  for (const resource of resources) {
    const owner = owners.get(resource.name);
    if (!owner || rank(resource) > rank(owner)) owners.set(resource.name, resource);
  }
  return owners;
}

function rank({ status }: SaleResource): number {
  if (!status?.accepted) return 0;
  if (status.epoch === 0) return 1;
  return isFinal(status.phase) ? 2 : 3;
}

function refusalOf(resource: SaleResource, owners: ReadonlyMap<string, SaleResource>): SaleProblem | undefined {
  const owner = owners.get(resource.name);
  if (!owner || owner === resource) return undefined;
  const message = `a sale named ${resource.name} is in namespace ${owner.namespace}: choose another name`;
  return { field: 'metadata.name', message };
}

/** A sale that was never warm has no purchase that could be put off. */
function publishedSale({ accepted, epoch, phase }: SaleStatus): PublishedSale | undefined {
  return accepted && epoch > 0 ? { ...accepted, epoch, phase } : undefined;
}

/** Notices that Redis lost what was published, or got an older state of it, and has it published again. */
class RegistryWatch {
  readonly #deps: OperatorDeps;
  readonly #lanes: () => Iterable<Lane>;
  #running: Promise<void> | undefined;
  #lookAt = 0;
  #failed = false;
  #unrestored = false;

  constructor(deps: OperatorDeps, lanes: () => Iterable<Lane>) {
    this.#deps = deps;
    this.#lanes = lanes;
  }

  /** Apart from the passes: a Redis that is slow must not keep a sale from its pass. */
  look(): void {
    if (this.#running || performance.now() < this.#lookAt) return;
    this.#running = this.#compare()
      .then(
        () => (this.#failed = false),
        (error: unknown) => {
          if (!this.#failed) this.#deps.note({ err: error }, 'what is published cannot be compared');
          this.#failed = true;
        },
      )
      .then(() => {
        this.#running = undefined;
        this.#lookAt = performance.now() + REGISTRY_MS;
      });
  }

  async idle(): Promise<void> {
    await this.#running;
  }

  /**
   * Publishes what Redis has lost, all of it before any pass may rebuild: consumers wait for a sale that is published,
   * and put off events of any other. Where Redis does not answer, the passes find that out themselves.
   */
  async restore(resources: readonly SaleResource[]): Promise<void> {
    const { store, note } = this.#deps;
    const sales = resources.flatMap(({ status }) => (status ? (publishedSale(status) ?? []) : []));
    if (sales.length === 0) return;
    try {
      const found = new Set((await store.published()).map(({ name }) => name));
      await Promise.all(sales.filter(({ name }) => !found.has(name)).map((sale) => store.publish(sale)));
      this.#unrestored = false;
    } catch (error) {
      if (!this.#unrestored) note({ err: error }, 'what is published cannot be restored');
      this.#unrestored = true;
    }
  }

  async #compare(): Promise<void> {
    const published = await this.#deps.store.published();
    const texts = new Map(published.map((sale) => [sale.name, JSON.stringify(sale)]));
    for (const lane of this.#lanes()) {
      // A pass under way may be publishing right now.
      if (lane.running || lane.memory.published === '' || texts.get(lane.name) === lane.memory.published) continue;
      lane.memory.published = '';
      lane.dueAt = 0;
    }
    await this.#deps.known.keep();
  }
}
