/** What every backing server of the local platform has in common. */

/** A server that was started and serves. */
export interface RunningServer {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Orderly stop: data is written out. Bounded; then SIGKILL. */
  stop(): Promise<void>;
  /** SIGKILL, and waits until it is gone: what a crash looks like. */
  kill(): Promise<void>;
  /** Resolves with the reason when the process is gone. */
  readonly exited: Promise<string>;
}

export interface ServerOptions {
  /** Its own folder: data, log and pid file. Made where it is not there. */
  readonly dataDir: string;
  readonly port: number;
  /** In `dataDir` where absent. */
  readonly logFile?: string;
  /** True (default): what was acknowledged survives. False: for tests, fast and not safe against power loss. */
  readonly durable?: boolean;
}
