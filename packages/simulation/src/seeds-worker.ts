/** One worker of `runSeeds`: runs the seeds that it is given, and says which failed. */
import { parentPort } from 'node:worker_threads';
import { MUTATIONS } from './mutations.ts';
import { planOf } from './plan.ts';
import { simulate } from './simulate.ts';

/** Seeds from `from`, up to and without `to`. */
export interface WorkerTask {
  readonly from: number;
  readonly to: number;
  readonly mutation: string | undefined;
}

export interface WorkerAnswer {
  readonly steps: number;
  readonly failures: { readonly seed: number; readonly violation: string }[];
}

async function run({ from, to, mutation: name }: WorkerTask): Promise<WorkerAnswer> {
  const mutation = MUTATIONS.find((one) => one.name === name);
  const answer: WorkerAnswer & { steps: number } = { steps: 0, failures: [] };
  for (let seed = from; seed < to; seed++) {
    const { steps, violation } = await simulate(planOf(seed), mutation ? { mutation } : {});
    answer.steps += steps;
    if (violation !== undefined) answer.failures.push({ seed, violation });
  }
  return answer;
}

parentPort?.on('message', (task: WorkerTask) => {
  void run(task).then((answer) => parentPort?.postMessage(answer));
});
