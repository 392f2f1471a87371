/** `flashsale up`: the platform, until Ctrl-C, SIGTERM or `flashsale down`. */
import { join, resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { stateHome } from '../paths.ts';
import { note } from '../progress.ts';
import { killAll } from '../supervisor/leftovers.ts';
import { Platform } from '../supervisor/platform.ts';
import { findRunning, requireRunning, type RunningPlatform } from '../supervisor/running.ts';
import { UsageError } from '../usage-error.ts';

export interface UpOptions {
  readonly data?: string;
  readonly port: number;
  readonly kubernetes?: boolean;
}

/** A platform that serves. */
export interface Up {
  /** Aborted when the platform was asked to end. */
  readonly ending: AbortSignal;
  /** Resolves when all is stopped. */
  readonly ended: Promise<void>;
  /** Asks it to end. */
  end(): void;
}

export function upCommand(): Command {
  return withPlatformOptions(new Command('up'))
    .description('start the platform and serve until Ctrl-C')
    .option('--empty', 'apply no sale and send no crowd (this is what up always does; start does both)')
    .action(async (options: UpOptions) => {
      const up = await bringUp(options);
      await up.ended;
    });
}

/** Options that `up` and `start` share. */
export function withPlatformOptions(command: Command): Command {
  return command
    .option('--data <dir>', `folder of all data (default: ${join(stateHome(), 'data')})`)
    .option('--port <port>', 'port of the edge', parsePort, 8080)
    .option(
      '--kubernetes',
      'with a Kubernetes control plane on this machine, for kubectl; its data is in a folder beside',
    );
}

/** Starts the platform, prints `ready URL`, and stops it in order at the first signal; a second one kills. */
export async function bringUp(options: UpOptions): Promise<Up> {
  const running = await findRunning();
  if (running !== undefined) {
    const where = running.urls['EDGE_URL'] ?? '';
    throw new UsageError(`the platform already runs at ${where} (pid ${running.pid}): \`npx flashsale down\` ends it`);
  }
  const { port, kubernetes = false } = options;
  const dataDir = resolve(options.data ?? join(stateHome(), kubernetes ? 'data-kubernetes' : 'data'));
  const platform = new Platform({ dataDir, port, kubernetes });
  const ending = new AbortController();
  const ended = new Promise<void>((done, fail) => {
    const onSignal = (): void => {
      if (ending.signal.aborted) void killAll(dataDir).finally(() => process.exit(130));
      else ending.abort();
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
    ending.signal.addEventListener('abort', () => {
      note('stopping; once more kills');
      platform.stop().then(done, fail);
    });
  });
  // Nothing else may keep the process alive: the children do not, and the wait for the end must.
  const alive = setInterval(() => undefined, 60_000);
  const over = ended.finally(() => clearInterval(alive));
  try {
    await platform.start();
  } catch (error) {
    clearInterval(alive);
    if (ending.signal.aborted) throw new UsageError('stopped before the platform was ready');
    throw error;
  }
  process.stdout.write(`ready ${platform.url}\n`);
  if (kubernetes) note(howToUse(await requireRunning()));
  return { ending: ending.signal, ended: over, end: () => ending.abort() };
}

function howToUse({ kubeconfig = '' }: RunningPlatform): string {
  return `export KUBECONFIG=${kubeconfig}\nfor kubectl, or without one: npx flashsale kubectl get flashsales --all-namespaces`;
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new InvalidArgumentError('a port is 1 to 65535.');
  return port;
}
