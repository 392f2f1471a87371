/** Runs one plan to its end and judges it. */
import { SALE, type Plan } from './plan.ts';
import { simulate as setGlobals } from './virtual-globals.ts';
import { Trace } from './trace.ts';
import { World } from './world.ts';

/** After the last fault, all must have come to its end within this, in simulated ms: the longest retry takes 10 min. */
const SETTLE_MS = 15 * 60_000;
/** A proof that does not hold is taken again for less than this. */
const PROOF_MS = 60_000;
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

export async function simulate(plan: Plan, tracing = false): Promise<Outcome> {
  const world = new World(plan, new Trace(tracing));
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
    const over = await scheduler.run(
      () => witnesses.violation !== undefined || isOver(world),
      plan.calmAt + SETTLE_MS,
      MOST_STEPS,
    );
    if (scheduler.failure !== undefined) witnesses.fail('a process threw', scheduler.failure);
    else if (!over) witnesses.fail('it did not come to its end');
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

/** Nothing goes wrong any more, every buyer knows, the sale is over, and all that was written was read. */
function isOver({ scheduler, plan, buying, kube, broker, witnesses }: World): boolean {
  if (scheduler.now < plan.calmAt || buying > 0) return false;
  const { phase, proof } = kube.sale(SALE).status ?? {};
  if (phase === 'Closed' && proof?.holds === false && scheduler.now > plan.calmAt + PROOF_MS) {
    witnesses.fail(`the proof does not hold: ${proof.problems.join('; ')}`);
  }
  return (phase === 'Aborted' || (phase === 'Closed' && proof?.holds === true)) && broker.isDrained();
}
