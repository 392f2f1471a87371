/** Runs `reconcile` for each sale when it is due: one pass at a time a sale, sales beside each other, errors contained to their sale. */
import { reconcile } from './reconcile.ts';
import type { SaleResource } from './resources.ts';
import { newMemory, type OperatorDeps, type SaleMemory } from './scope.ts';

/** Pause after failed passes of one sale: doubles from here to the longest, in ms. */
const FIRST_BACKOFF_MS = 250;
const LONGEST_BACKOFF_MS = 5_000;

interface Lane {
  readonly memory: SaleMemory;
  /** When the next pass is due, by our own monotonic clock in ms. */
  dueAt: number;
  failures: number;
  running: Promise<void> | undefined;
}

export interface Runner {
  /** Starts a pass for every sale that is due and has none under way. */
  tick(): Promise<void>;
  /** Makes every sale due now. */
  wake(): void;
  /** Resolves when no pass is under way. */
  idle(): Promise<void>;
}

export function createRunner(deps: OperatorDeps): Runner {
  const lanes = new Map<string, Lane>();
  let publishedVersion = 0;

  const laneOf = (resource: SaleResource): Lane => {
    const key = `${resource.namespace}/${resource.name}`;
    const lane = lanes.get(key) ?? { memory: newMemory(), dueAt: 0, failures: 0, running: undefined };
    lanes.set(key, lane);
    return lane;
  };

  async function pass(resource: SaleResource, lane: Lane): Promise<void> {
    try {
      const next = await reconcile(resource, lane.memory, deps);
      lane.failures = 0;
      lane.dueAt = performance.now() + (next ?? 0);
      if (next === undefined) lanes.delete(`${resource.namespace}/${resource.name}`);
    } catch (error) {
      lane.failures += 1;
      lane.dueAt = performance.now() + Math.min(FIRST_BACKOFF_MS * 2 ** (lane.failures - 1), LONGEST_BACKOFF_MS);
      deps.note({ sale: resource.name, failures: lane.failures, err: error }, 'a pass failed');
    }
  }

  /** A version that went backwards: Redis lost what was published, so everything is published again. */
  async function noticeLostRegistry(): Promise<void> {
    const version = await deps.store.publishedVersion();
    if (version < publishedVersion) {
      for (const lane of lanes.values()) lane.memory.published = '';
      for (const lane of lanes.values()) lane.dueAt = 0;
    }
    publishedVersion = version;
  }

  return {
    async tick() {
      await noticeLostRegistry();
      for (const resource of await deps.resources.list()) {
        const lane = laneOf(resource);
        if (lane.running || lane.dueAt > performance.now()) continue;
        lane.running = pass(resource, lane).finally(() => {
          lane.running = undefined;
        });
      }
    },
    wake() {
      for (const lane of lanes.values()) lane.dueAt = 0;
    },
    async idle() {
      await Promise.all([...lanes.values()].flatMap((lane) => lane.running ?? []));
    },
  };
}
