/** The part of redlock 4.2.0 (pinned exactly) that is used here: the package has no types of its own. */
declare module 'redlock' {
  type Callback = (error: Error | null, result?: unknown) => void;
  /** What it asks of a client. */
  interface Client {
    evalsha(sha1: string, args: readonly (string | number)[], done: Callback): void;
    eval(args: readonly (string | number)[], done: Callback): void;
  }
  interface Lock {
    /** Unix ms by this process's clock; 0 once it was released. */
    readonly expiration: number;
    unlock(): PromiseLike<void>;
  }
  export default class Redlock {
    constructor(clients: readonly Client[], options: { retryCount: number });
    /** Rejects with LockError where another holds it, and also where the server failed. */
    lock(resource: string, leaseMs: number): PromiseLike<Lock>;
  }
}
