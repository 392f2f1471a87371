/** Deadlines for work that has none of its own. */

/** The work took longer than it may. It may still be carried out: only its answer was given up. */
export class DeadlineError extends Error {
  constructor(what: string, ms: number) {
    super(`${what} took longer than ${ms} ms`);
    this.name = 'DeadlineError';
  }
}

/** Answers as `work` does, or rejects with DeadlineError after `ms` milliseconds; a later outcome of `work` is ignored. */
export function withDeadline<T>(what: string, ms: number, work: Promise<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new DeadlineError(what, ms));
    }, ms);
    work.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error instanceof Error ? error : new Error(String(error), { cause: error }));
      },
    );
  });
}
