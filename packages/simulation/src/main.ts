/**
 * `npm run simulate -- --seed N` replays a seed and, where it fails, explains it; `--seeds N [--from M]` runs many.
 * `--trace` prints all that happens; `--bug NAME` plants a known bug. Exit code 1 where a seed fails.
 */
import { parseArgs } from 'node:util';
import { MUTATIONS, type Mutation } from './mutations.ts';
import { planOf } from './plan.ts';
import { explain } from './report.ts';
import { runSeeds } from './seeds.ts';
import { simulate } from './simulate.ts';

const USAGE = `npm run simulate -- --seed N [--trace] | --seeds N [--from M]   [--bug NAME]
bugs: ${MUTATIONS.map(({ name }) => `"${name}"`).join(', ')}`;

const say = (text: string): void => void process.stdout.write(`${text}\n`);

function read(): { seed?: number; seeds?: number; from: number; trace: boolean; mutation: Mutation | undefined } {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string' },
      seeds: { type: 'string' },
      from: { type: 'string', default: '1' },
      trace: { type: 'boolean', default: false },
      bug: { type: 'string' },
    },
  });
  const whole = (text: string): number => {
    if (!/^\d{1,9}$/.test(text)) throw new Error(`${text} is not a whole number`);
    return Number(text);
  };
  const mutation = MUTATIONS.find(({ name }) => name === values.bug);
  if (values.bug !== undefined && !mutation) throw new Error(`no bug is called ${values.bug}`);
  if ((values.seed === undefined) === (values.seeds === undefined)) throw new Error('give --seed or --seeds');
  return {
    ...(values.seed === undefined ? {} : { seed: whole(values.seed) }),
    ...(values.seeds === undefined ? {} : { seeds: whole(values.seeds) }),
    from: whole(values.from),
    trace: values.trace,
    mutation,
  };
}

async function one(seed: number, trace: boolean, mutation: Mutation | undefined): Promise<boolean> {
  const options = mutation ? { mutation } : {};
  if (trace) say((await simulate(planOf(seed), { ...options, tracing: true })).trace.join('\n'));
  const explanation = await explain(seed, options);
  say(explanation ?? `seed ${seed} passes`);
  return explanation === undefined;
}

async function many(count: number, from: number, mutation: Mutation | undefined): Promise<boolean> {
  const began = performance.now();
  const onProgress = (done: number): void => {
    const seconds = ((performance.now() - began) / 1_000).toFixed(0);
    if (process.stderr.isTTY) process.stderr.write(`\r${done} of ${count} seeds, ${seconds} s `);
  };
  const result = await runSeeds({ from, count, onProgress, ...(mutation ? { mutation: mutation.name } : {}) });
  if (process.stderr.isTTY) process.stderr.write('\n');
  const seconds = (performance.now() - began) / 1_000;
  say(
    `${result.ran} seeds from ${from}, ${result.steps} steps, ${seconds.toFixed(1)} s, ${result.failures.length} failed`,
  );
  const [first] = result.failures;
  for (const { seed, violation } of result.failures) say(`seed ${seed}: ${violation.split('\n', 1)[0]}`);
  if (first) await one(first.seed, false, mutation);
  return !first;
}

try {
  const { seed, seeds, from, trace, mutation } = read();
  const passed = seed === undefined ? await many(seeds ?? 0, from, mutation) : await one(seed, trace, mutation);
  process.exitCode = passed ? 0 : 1;
} catch (error) {
  say(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
  process.exitCode = 2;
}
