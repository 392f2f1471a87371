/** The life of a process: start its parts, say when it is ready, drain and stop at a signal. */
import { parseConfig, vars } from './config.ts';
import { withDeadline } from './deadline.ts';
import { createLogger, type Logger } from './log.ts';
import { portOf, startAdmin } from './run-admin.ts';

export { loop } from './loop.ts';

/** One thing a process is made of: a connection, a server, a loop. */
export interface Part {
  readonly name: string;
  start?(): Promise<void>;
  /** False: the process takes no traffic now. Absent: ready once started. */
  ready?(): boolean;
  /** Takes nothing new and finishes what is under way. */
  drain?(): Promise<void>;
  /** Lets go of what it holds. */
  stop?(): Promise<void>;
}

/** Longest drain and stop of all parts together, in ms; within the 30 s that Kubernetes gives by default. */
const DRAIN_MS = 20_000;
const STOP_MS = 5_000;

type Build = (context: { log: Logger; env: NodeJS.ProcessEnv }) => Promise<readonly Part[]> | readonly Part[];

/**
 * Builds and starts the parts in order, serves the admin port, logs one line `ready` with the port of the first
 * part that has one, then waits for SIGTERM or SIGINT, drains and stops in reverse order, and exits: 0 after a clean
 * drain, 1 after a failed start, an unclean drain or an error that nobody caught. A second signal exits at once.
 */
export async function run(service: string, build: Build): Promise<void> {
  const life = new Life(service);
  try {
    await life.start(build);
  } catch (error) {
    // A signal during the start may be why it failed; then the signal's handler ends the process.
    if (life.ending) return;
    life.log.fatal({ err: error }, 'the process could not start');
    await life.end(false);
    process.exit(1);
  }
}

class Life {
  readonly log: Logger;
  readonly #started: Part[] = [];
  readonly #up = new Set<string>();
  #parts: readonly Part[] = [];
  #ready = false;
  ending = false;

  constructor(service: string) {
    const level = vars.LOG_LEVEL.safeParse(process.env['LOG_LEVEL'] || undefined);
    this.log = createLogger(service, level.success ? level.data : 'info');
    for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
      process.on(event, (error: unknown) => {
        this.log.fatal({ err: error }, event);
        process.exit(1);
      });
    }
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void this.#onSignal(signal));
  }

  async start(build: Build): Promise<void> {
    const env = process.env;
    const config = parseConfig({ ADMIN_PORT: vars.ADMIN_PORT, HOST: vars.HOST, LOG_LEVEL: vars.LOG_LEVEL }, env);
    const admin = await startAdmin(config.HOST, config.ADMIN_PORT, () => this.#readiness());
    this.#parts = await build({ log: this.log, env });
    for (const part of this.#parts) {
      if (this.ending) return;
      // Before its start: a part that failed half-way is stopped like the others.
      this.#started.push(part);
      await part.start?.();
      this.#up.add(part.name);
    }
    if (this.ending) return;
    this.#ready = true;
    this.log.info({ port: firstPort(this.#parts), adminPort: portOf(admin) }, 'ready');
    // After the ready line: the default metrics cost start-up time and nobody reads them before.
    const { collectDefaultMetrics } = await import('./metrics.ts');
    collectDefaultMetrics();
  }

  async #onSignal(signal: string): Promise<void> {
    if (this.ending) process.exit(1);
    this.log.info({ signal }, 'draining');
    const clean = await this.end(true);
    this.log.info({ clean }, 'stopped');
    process.exit(clean ? 0 : 1);
  }

  /** True where every part ended without an error and in time. */
  async end(drain: boolean): Promise<boolean> {
    this.ending = true;
    const parts = this.#started.toReversed();
    const drained = !drain || (await this.#each(parts, 'drain', DRAIN_MS));
    const stopped = await this.#each(parts, 'stop', STOP_MS);
    return drained && stopped;
  }

  /** One after the other within one budget of time; a part that fails does not keep the others from their turn. */
  async #each(parts: readonly Part[], act: 'drain' | 'stop', budgetMs: number): Promise<boolean> {
    const endsAt = Date.now() + budgetMs;
    let clean = true;
    for (const part of parts) {
      const work = part[act]?.bind(part);
      if (!work) continue;
      try {
        await withDeadline(`${act} of ${part.name}`, Math.max(endsAt - Date.now(), 100), work());
      } catch (error) {
        clean = false;
        this.log.error({ part: part.name, err: error }, `${act} failed`);
      }
    }
    return clean;
  }

  #readiness(): { ready: boolean; parts: Record<string, boolean> } {
    const parts: Record<string, boolean> = {};
    for (const part of this.#parts) parts[part.name] = this.#up.has(part.name) && (part.ready?.() ?? true);
    return { ready: this.#ready && !this.ending && Object.values(parts).every(Boolean), parts };
  }
}

function firstPort(parts: readonly Part[]): number | undefined {
  for (const part of parts) if ('port' in part && typeof part.port === 'number') return part.port;
  return undefined;
}
