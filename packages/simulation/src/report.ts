/** What a failing seed tells: what is wrong, the smallest plan that shows it, its trace, and the command that replays it. */
import { planOf, type Plan } from './plan.ts';
import { shrink } from './shrink.ts';
import { simulate, type Outcome, type SimulateOptions } from './simulate.ts';

/** Lines of a trace that are shown: the end of it. */
const MOST_LINES = 400;

/** Names and numbers apart: the same kind of failure in a smaller plan counts as the same. */
const kindOf = (violation: string | undefined): string | undefined =>
  violation
    ?.split('\n', 1)[0]
    ?.replaceAll(/drop\.\d+\.[\w-]+/g, 'ID')
    .replaceAll(/\d+/g, 'N')
    .slice(0, 60);

/** Runs a seed; where it fails, shrinks its plan and runs that once more with a trace. Undefined: it does not fail. */
export async function explain(seed: number, options: SimulateOptions = {}): Promise<string | undefined> {
  const plan = planOf(seed);
  const first = await simulate(plan, options);
  if (first.violation === undefined) return undefined;
  const kind = kindOf(first.violation);
  const smallest = await shrink(plan, async (one) => {
    const { violation, steps } = await simulate(one, options);
    return { fails: kindOf(violation) === kind, steps };
  });
  const last = await simulate(smallest, { ...options, tracing: true });
  return [
    `seed ${seed} fails: ${first.violation}`,
    `its plan has ${plan.actions.length} actions and ${plan.faults.length} faults; ${smallest.actions.length} and ${smallest.faults.length} of them are enough:`,
    ...described(smallest),
    ...traceOf(last),
    `replay: npm run simulate -- --seed ${seed}`,
  ].join('\n');
}

function described({ scenario, actions, faults }: Plan): string[] {
  return [JSON.stringify(scenario), ...[...actions, ...faults].map((part) => `  ${JSON.stringify(part)}`)];
}

function traceOf({ trace }: Outcome): string[] {
  const shown = trace.slice(-MOST_LINES);
  return [...(shown.length < trace.length ? [`… ${trace.length - shown.length} lines before`] : []), ...shown];
}
