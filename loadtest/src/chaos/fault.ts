/** What a fault of the table is, and the faults of the wire and of processes. */
import { readFileSync } from 'node:fs';
import { SERVERS, SERVICES, type Ground, type ProcessName, type Server } from './ground.ts';
import type { Toxic } from '@flashsale/local/servers/toxiproxy';

export interface Fault {
  readonly name: string;
  /** How long it lasts before it is cleared, ms. */
  readonly lastsMs: number;
  /** Strikes in the middle of the rush on `sale`. Resolves to what clears it. */
  strike(ground: Ground, sale: string): Promise<() => Promise<void>>;
  /** The ground that it needs, where the usual one will not do. */
  readonly ground?: 'cluster' | 'disks';
  /** Before the rush. Resolves to what puts all back when the proof is taken. */
  prepare?(ground: Ground): Promise<() => Promise<void>>;
  /** Buyers at once, and in all, where the fault is their number. */
  readonly crowd?: { readonly buyers: number; readonly stock: number; readonly concurrency: number };
}

const LASTS_MS = 4_000;
const both = (type: Toxic['type'], attributes: Toxic['attributes']): Toxic[] =>
  (['upstream', 'downstream'] as const).map((stream) => ({ type, stream, attributes }));

/** One that clears when all proxies are healed. */
function wire(server: Server, what: string, toxics: readonly Toxic[]): Fault {
  return {
    name: `${server}: ${what}`,
    lastsMs: LASTS_MS,
    async strike({ proxies }) {
      for (const toxic of toxics) await proxies.add(server, toxic);
      return () => proxies.heal();
    },
  };
}

/** The signals by which each server ends in order (see packages/local/src/servers). */
const ORDERLY = { redis: 'SIGTERM', kafka: 'SIGTERM', postgres: 'SIGINT' } as const;

function slowClose(server: Server): Fault {
  return {
    name: `${server}: restart, connections close late`,
    lastsMs: 0,
    async strike(ground) {
      for (const toxic of both('slow_close', { delay: 3_000 })) await ground.proxies.add(server, toxic);
      await restart(ground, server, ORDERLY[server]);
      return () => ground.proxies.heal();
    },
  };
}

async function restart(ground: Ground, name: ProcessName, signal: NodeJS.Signals): Promise<void> {
  const pid = ground.pidOf(name);
  process.kill(pid, signal);
  await ground.reborn(name, pid);
}

export const WIRE: readonly Fault[] = SERVERS.flatMap((server) => [
  wire(server, 'latency 200 ± 100 ms', both('latency', { latency: 100, jitter: 50 })),
  wire(server, 'every connection reset', both('reset_peer', { timeout: 0 })),
  wire(server, 'half-open: nothing comes through', both('timeout', { timeout: 0 })),
  wire(server, 'bandwidth 40 KB/s', both('bandwidth', { rate: 40 })),
  slowClose(server),
]);

/** A process and all that it started: PostgreSQL is many. */
function treeOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean);
  return [pid, ...children.flatMap((child) => treeOf(Number(child)))];
}

const PROCESSES: readonly ProcessName[] = [...SERVICES, ...SERVERS];

const PAUSES: readonly Fault[] = PROCESSES.map((name) => ({
  name: `${name}: SIGSTOP, then SIGCONT`,
  lastsMs: LASTS_MS,
  strike(ground) {
    const pids = treeOf(ground.pidOf(name));
    for (const pid of pids) process.kill(pid, 'SIGSTOP');
    return Promise.resolve(() => {
      for (const pid of pids) process.kill(pid, 'SIGCONT');
      return Promise.resolve();
    });
  },
}));

const KILLS: readonly Fault[] = PROCESSES.map((name) => ({
  name: `${name}: kill -9`,
  lastsMs: 0,
  strike(ground) {
    const pid = ground.pidOf(name);
    process.kill(pid, 'SIGKILL');
    return Promise.resolve(() => Promise.resolve());
  },
}));

const RESTARTS: readonly Fault[] = SERVERS.map((name) => ({
  name: `${name}: restart`,
  lastsMs: 0,
  strike(ground) {
    process.kill(ground.pidOf(name), ORDERLY[name]);
    return Promise.resolve(() => Promise.resolve());
  },
}));

export const PROCESS_FAULTS: readonly Fault[] = [...PAUSES, ...KILLS, ...RESTARTS];
