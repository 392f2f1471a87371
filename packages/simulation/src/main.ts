/** `npm run simulate -- --seed N`, `--seeds N`. */
import { planOf } from './plan.ts';
import { simulate } from './simulate.ts';

const seed = Number(process.argv[2] ?? 1);
const plan = planOf(seed);
const outcome = await simulate(plan, process.argv[3] === 'trace');
console.log(JSON.stringify(plan));
console.log(outcome.trace.join('\n'));
console.log(outcome.seed, outcome.violation, outcome.steps, outcome.tookMs);
