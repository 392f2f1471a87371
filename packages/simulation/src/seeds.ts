/** Runs many seeds in worker threads, one a core, each with globals of its own. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { WorkerAnswer, WorkerTask } from './seeds-worker.ts';

/** Seeds that a worker is given at a time. */
const CHUNK = 50;

export interface SeedsResult {
  readonly ran: number;
  /** Events carried out, over all seeds. */
  readonly steps: number;
  /** The first seeds that failed, with what was wrong. */
  readonly failures: readonly { readonly seed: number; readonly violation: string }[];
}

export interface SeedsOptions {
  readonly from: number;
  readonly count: number;
  /** Name of the known bug that is planted. */
  readonly mutation?: string;
  /** Ends at so many failures. */
  readonly mostFailures?: number;
  readonly onProgress?: (done: number) => void;
  readonly workers?: number;
}

export async function runSeeds(options: SeedsOptions): Promise<SeedsResult> {
  const { from, count, mutation, mostFailures = 3, onProgress, workers = availableParallelism() } = options;
  const failures: SeedsResult['failures'][number][] = [];
  let next = from;
  let ran = 0;
  let steps = 0;
  const take = (): WorkerTask | undefined => {
    if (next >= from + count || failures.length >= mostFailures) return undefined;
    const first = next;
    next = Math.min(next + CHUNK, from + count);
    return { from: first, to: next, mutation };
  };
  const work = async (): Promise<void> => {
    const worker = new Worker(new URL('seeds-worker.ts', import.meta.url));
    try {
      for (let task = take(); task; task = take()) {
        const answer = await ask(worker, task);
        ran += task.to - task.from;
        steps += answer.steps;
        failures.push(...answer.failures);
        onProgress?.(ran);
      }
    } finally {
      await worker.terminate();
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, Math.min(workers, Math.ceil(count / CHUNK))) }, work));
  return { ran, steps, failures: failures.toSorted((a, b) => a.seed - b.seed) };
}

function ask(worker: Worker, task: WorkerTask): Promise<WorkerAnswer> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      for (const event of ['message', 'error', 'exit']) worker.removeAllListeners(event);
    };
    worker.once('message', (answer: WorkerAnswer) => {
      settle();
      resolve(answer);
    });
    worker.once('error', (error: unknown) => {
      settle();
      reject(error instanceof Error ? error : new Error(String(error)));
    });
    worker.once('exit', (code) => reject(new Error(`a worker ended with ${code}`)));
    worker.postMessage(task);
  });
}
