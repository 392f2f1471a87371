/** A peer's processes: started by its command in its folder, found again by a mark in their environment, ended. */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { freePort } from '@flashsale/local/ports';
import { signalQuietly } from '@flashsale/local/pid';
import type { Shop } from '../peers/adapter.ts';
import { UsageError } from './command.ts';
import { markedPids, useOf } from './process-tree.ts';

const READY_MS = 120_000;
const STOP_MS = 10_000;
const POLL_MS = 100;
const MARK = 'FLASHSALE_PEER';

export interface PeerProcess extends Shop {
  /** CPU of everything that the command started, and of the servers named beside it, so far. */
  cpuMs(): number;
  stop(): Promise<void>;
}

export interface PeerCommand {
  readonly folder: string;
  /** A line for `sh`. It is told where to listen by PORT. */
  readonly start: string;
  /** Where it listens whatever PORT says; undefined: a free port. */
  readonly port?: number | undefined;
  /** Servers that it uses and does not start itself: their CPU counts as well. */
  readonly servers: readonly number[];
}

/** Starts the peer and waits until its port accepts connections. Throws where it ends before or takes too long. */
export async function startPeer(command: PeerCommand, signal: AbortSignal): Promise<PeerProcess> {
  const { folder, start, servers, port = await freePort() } = command;
  const id = randomUUID();
  const child = spawn('sh', ['-c', start], {
    cwd: folder,
    env: { ...process.env, PORT: String(port), [MARK]: id },
    stdio: ['ignore', 2, 2],
    detached: true,
  });
  const mark = `${MARK}=${id}`;
  const ended = once(child, 'exit');
  const stop = async (): Promise<void> => {
    for (const kind of ['SIGTERM', 'SIGKILL'] as const) {
      // What it started, by their numbers: some may have left its group.
      for (const pid of markedPids(mark)) signalQuietly(pid, kind);
      const until = Date.now() + STOP_MS;
      while (markedPids(mark).length > 0 && Date.now() < until) await pause(POLL_MS);
    }
    if (child.exitCode === null && child.signalCode === null) await ended;
  };
  try {
    await untilListening(port, () => child.exitCode ?? child.signalCode, signal);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    origin: `http://127.0.0.1:${port}`,
    cpuMs: () => useOf([child.pid ?? 0, ...servers], mark).cpuMs,
    stop,
  };
}

async function untilListening(port: number, ended: () => number | string | null, signal: AbortSignal): Promise<void> {
  const until = Date.now() + READY_MS;
  while (!(await accepts(port))) {
    const how = ended();
    if (how !== null) throw new UsageError(`the peer ended before it listened on port ${port} (${how})`);
    if (Date.now() > until) throw new UsageError(`the peer does not listen on port ${port} after ${READY_MS / 1000} s`);
    await pause(POLL_MS, undefined, { signal });
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const say = (answer: boolean) => (): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', say(true)).once('error', say(false)).setTimeout(1_000, say(false));
  });
}
