/** Makes a failing plan smaller: without the faults and actions that it does not need, as long as it fails alike. */
import type { Plan } from './plan.ts';

/** Plans that are tried, and steps that they may take together. */
const MOST_TRIES = 300;
const MOST_STEPS = 1_500_000;

type Parts = Pick<Plan, 'actions' | 'faults'>;

/** `run` runs a plan and says whether it fails as the first one did, and how many steps that took. */
export async function shrink(
  plan: Plan,
  run: (plan: Plan) => Promise<{ readonly fails: boolean; readonly steps: number }>,
): Promise<Plan> {
  let smallest = plan;
  let tries = 0;
  let steps = 0;
  const attempt = async (parts: Partial<Parts>): Promise<boolean> => {
    if (tries >= MOST_TRIES || steps >= MOST_STEPS) return false;
    tries++;
    const candidate = { ...smallest, ...parts };
    const outcome = await run(candidate);
    steps += outcome.steps;
    if (!outcome.fails) return false;
    smallest = candidate;
    return true;
  };
  for (let before: Plan | undefined; before !== smallest && tries < MOST_TRIES && steps < MOST_STEPS;) {
    before = smallest;
    await without(
      () => smallest.faults,
      (faults) => attempt({ faults }),
    );
    await without(
      () => smallest.actions,
      (actions) => attempt({ actions }),
    );
  }
  return smallest;
}

/** Leaves out halves, then quarters, then single parts (Zeller's delta debugging). */
async function without<T>(get: () => readonly T[], attempt: (parts: readonly T[]) => Promise<boolean>): Promise<void> {
  for (let size = Math.ceil(get().length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < get().length;) {
      const left = get().filter((_, i) => i < from || i >= from + size);
      if (!(await attempt(left))) from += size;
    }
  }
}
