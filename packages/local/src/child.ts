/** One child process that is a server: own process group, log file, pid file, bounded stop, and it dies with its parent. */
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { isFree } from './ports.ts';
import { endByPidFile, signalQuietly, writePidFile } from './pid.ts';

const LOG_BYTES = 16 * 1024 * 1024;

export interface ChildOptions {
  readonly name: string;
  /** Program and arguments. */
  readonly command: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Where it will listen. It must be free: or another server would answer in its place when asked if it is ready. */
  readonly port?: number;
  readonly logFile: string;
  readonly pidFile: string;
  /** Asks for an orderly end; also sent by the kernel if this process dies first. */
  readonly stopSignal: NodeJS.Signals;
  /** How long the orderly end may take, ms; then SIGKILL. */
  readonly stopMs: number;
  /** Seen by setpriv where the child runs as another user: its options. */
  readonly identity?: readonly string[];
}

export interface Child {
  readonly name: string;
  readonly pid: number;
  /** Resolves when the process is gone, with what it was: exit code or signal. */
  readonly exited: Promise<string>;
  /** Undefined while it runs. */
  exit(): string | undefined;
  stop(): Promise<void>;
  /** SIGKILL, and waits until it is gone: what a crash looks like. */
  kill(): Promise<void>;
  /** The last lines of its log. */
  logTail(lines?: number): string;
}

/** Starts the child. Ends a leftover of an earlier run (by the pid file) first. Throws where it cannot be started. */
export async function startChild(options: ChildOptions): Promise<Child> {
  await endByPidFile(options.pidFile, options.stopSignal, options.stopMs);
  if (options.port !== undefined && !(await isFree(options.port))) {
    throw new Error(`${options.name} cannot start: port ${options.port} is in use`);
  }
  mkdirSync(dirname(options.logFile), { recursive: true });
  const log = openLog(options.logFile);
  const [program = '', ...args] = withPrivileges(options);
  const child = spawn(program, args, {
    // Its own session: Ctrl-C goes to the supervisor alone, which then stops its children in order.
    detached: true,
    stdio: ['ignore', log, log],
    env: options.env ?? process.env,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  closeSync(log);
  let exit: string | undefined;
  const exited = new Promise<string>((done) => {
    child.once('error', (error) => done((exit = error.message)));
    child.once('exit', (code, signal) => done((exit = signal ?? `exit code ${code ?? '?'}`)));
  });
  if (child.pid === undefined) throw new Error(`${options.name}: could not start ${program}: ${await exited}`);
  const { pid } = child;
  writePidFile(options.pidFile, pid);
  const stop = async (): Promise<void> => {
    if (exit === undefined) {
      signalQuietly(pid, options.stopSignal);
      const timer = setTimeout(() => signalQuietly(pid, 'SIGKILL'), options.stopMs);
      await exited;
      clearTimeout(timer);
    }
    rmSync(options.pidFile, { force: true });
  };
  child.unref();
  return {
    name: options.name,
    pid,
    exited,
    exit: () => exit,
    stop,
    kill: async () => {
      // Not the child itself, but this wait keeps the process alive.
      child.ref();
      if (exit === undefined) signalQuietly(pid, 'SIGKILL');
      await exited;
    },
    logTail: (lines = 20) => tail(options.logFile, lines),
  };
}

/** Waits until `probe` answers true; throws when the child ends first or `ms` have passed. */
export async function untilReady(child: Child, ms: number, probe: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + ms;
  while (!(await probe().catch(() => false))) {
    const exit = child.exit();
    if (exit !== undefined) throw new Error(`${child.name} ended while starting (${exit}):\n${child.logTail()}`);
    if (Date.now() > deadline)
      throw new Error(`${child.name} was not ready within ${ms / 1000} s:\n${child.logTail()}`);
    await new Promise((done) => setTimeout(done, 25));
  }
}

let dieWithParent: boolean | undefined;

function withPrivileges(options: ChildOptions): readonly string[] {
  // Old or other setpriv programs have no --pdeathsig: then the pid file alone cares for leftovers.
  dieWithParent ??= spawnSync('setpriv', ['--pdeathsig', 'TERM', '--', 'true']).status === 0;
  const identity = options.identity ?? [];
  const death = dieWithParent ? ['--pdeathsig', options.stopSignal.replace('SIG', '')] : [];
  const flags = [...identity, ...death];
  return flags.length === 0 ? options.command : ['setpriv', ...flags, '--', ...options.command];
}

/** Opens a log to append to; a long one is put aside, one older part is kept. */
function openLog(file: string): number {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size > LOG_BYTES) renameSync(file, `${file}.1`);
  return openSync(file, 'a');
}

function tail(file: string, lines: number): string {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  } catch {
    return '';
  }
}
