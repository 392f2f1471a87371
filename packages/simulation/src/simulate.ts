/** Runs one plan to its end and judges it. */
import { judgeEnd } from './invariants/ending.ts';
import type { Mutation } from './mutations.ts';
import { SALE, type Plan } from './plan.ts';
import { simulate as setGlobals } from './virtual-globals.ts';
import { Trace } from './trace.ts';
import { World } from './world.ts';

/** After the last fault, all must have come to its end within this, in simulated ms: the longest retry takes 10 min. */
const SETTLE_MS = 15 * 60_000;
const MOST_STEPS = 60_000;

export interface Outcome {
  readonly seed: number;
  /** Undefined: everything was as it must be. */
  readonly violation: string | undefined;
  readonly steps: number;
  /** Simulated ms. */
  readonly tookMs: number;
  readonly trace: readonly string[];
  readonly world: World;
}

export interface SimulateOptions {
  readonly tracing?: boolean;
  /** A known bug to plant. */
  readonly mutation?: Mutation;
}

export async function simulate(plan: Plan, { tracing = false, mutation }: SimulateOptions = {}): Promise<Outcome> {
  const world = new World(plan, new Trace(tracing), mutation);
  const { scheduler, witnesses, trace } = world;
  const onRejection = (error: unknown): void => {
    const life = scheduler.current;
    if (life) world.crash(life, `nobody caught ${String(error)}`);
    else witnesses.fail('an error that nobody caught', error);
  };
  process.on('unhandledRejection', onRejection);
  setGlobals(scheduler);
  try {
    world.begin();
    const ending = new Ending(world);
    const over = await scheduler.run(
      () => witnesses.violation !== undefined || ending.isReached(),
      plan.calmAt + SETTLE_MS,
      MOST_STEPS,
    );
    if (scheduler.failure !== undefined) witnesses.fail('a process threw', scheduler.failure);
    else if (!over) witnesses.fail(`in the end, ${ending.problems.join('; ') || 'buyers wait for an answer'}`);
  } finally {
    setGlobals(undefined);
    process.off('unhandledRejection', onRejection);
    for (const life of world.lives.values()) world.end(life);
  }
  return {
    seed: plan.seed,
    violation: witnesses.violation,
    steps: scheduler.steps,
    tookMs: scheduler.now,
    trace: trace.lines,
    world,
  };
}

/** How often it is looked whether all agree, in simulated ms. */
const LOOK_MS = 250;

/** Nothing goes wrong any more, every buyer knows, the sale is over, all that was written was read, and all agree. */
class Ending {
  readonly #world: World;
  #lookAt = 0;
  /** What does not agree yet, as last looked. */
  problems: readonly string[] = [];

  constructor(world: World) {
    this.#world = world;
  }

  isReached(): boolean {
    const { scheduler, plan, buying } = this.#world;
    if (scheduler.now < plan.calmAt || buying > 0 || scheduler.now < this.#lookAt) return false;
    this.#lookAt = scheduler.now + LOOK_MS;
    this.problems = this.#judge();
    return this.problems.length === 0;
  }

  #judge(): string[] {
    const { phase, proof, message } = this.#world.kube.sale(SALE).status ?? {};
    if (phase !== 'Aborted' && phase !== 'Closed') return [`the sale is ${phase}: ${message}`];
    if (phase === 'Closed' && proof?.holds !== true) return [`no proof that holds: ${proof?.problems.join('; ')}`];
    return this.#world.broker.isDrained() ? judgeEnd(this.#world) : ['records are left to be consumed'];
  }
}
