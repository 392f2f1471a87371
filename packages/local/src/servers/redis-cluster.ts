/** A Redis Cluster on loopback: three masters with a replica each, for tests and for the table of faults. */
import { setTimeout as pause } from 'node:timers/promises';
import { join } from 'node:path';
import { createLogger } from '@flashsale/platform/log';
import { connectRedis } from '@flashsale/platform/redis';
import { freePorts } from '../ports.ts';
import { startRedis } from './redis.ts';
import type { RunningServer } from './server.ts';

const SLOTS = 16_384;
const MASTERS = 3;
/** A node that says nothing for this long is down: its replica takes over. */
const NODE_TIMEOUT_MS = 2_000;
const AGREED_MS = 30_000;
const POLL_MS = 50;
const MIGRATE_MS = 2_000;
/** Keys moved at once; buyers wait for them. */
const KEYS = 100;

export interface ClusterNode {
  readonly id: string;
  readonly port: number;
  readonly isMaster: boolean;
  readonly isDown: boolean;
  /** Ranges of slots, both ends in. */
  readonly slots: readonly (readonly [number, number])[];
}

export interface RedisCluster {
  /** `redis-cluster://…` with all six. */
  readonly url: string;
  readonly servers: readonly RunningServer[];
  /** As a node that serves sees it. */
  nodes(): Promise<ClusterNode[]>;
  /** The slot of a key. */
  slotOf(key: string): Promise<number>;
  masterOf(slot: number): Promise<ClusterNode>;
  /** Moves a slot with its keys to another master, as `redis-cli --cluster reshard` does. */
  moveSlot(slot: number, from: ClusterNode, to: ClusterNode): Promise<void>;
  stop(): Promise<void>;
}

/** Starts and joins them; resolves when all agree and each replica has its master's data. */
export async function startRedisCluster(dataDir: string): Promise<RedisCluster> {
  const ports = await freePorts(4 * MASTERS);
  const servers: RunningServer[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.kill()));
  };
  try {
    for (let i = 0; i < 2 * MASTERS; i++) {
      const [port = 0, bus = 0] = ports.slice(2 * i);
      const settings = {
        'cluster-enabled': 'yes',
        'cluster-port': bus,
        'cluster-node-timeout': NODE_TIMEOUT_MS,
        // Shards on other masters sell on while one is away.
        'cluster-require-full-coverage': 'no',
      };
      servers.push(await startRedis({ dataDir: join(dataDir, `${port}`), port, settings }));
    }
    await joinAll(servers.map((server, i) => ({ port: server.port, bus: ports[2 * i + 1] ?? 0 })));
  } catch (error) {
    await stop();
    throw error;
  }
  return { ...operations(servers), servers, stop };
}

function operations(servers: readonly RunningServer[]): Omit<RedisCluster, 'servers' | 'stop'> {
  const nodes = async (): Promise<ClusterNode[]> => {
    for (const { port } of servers) {
      const text = await ask<string>(port, 'CLUSTER', 'NODES').catch(() => undefined);
      if (text !== undefined) return text.trim().split('\n').map(parseNode);
    }
    throw new Error('no node of the cluster answers');
  };
  const masterOf = async (slot: number): Promise<ClusterNode> => {
    const masters = (await nodes()).filter(({ isMaster, isDown }) => isMaster && !isDown);
    const found = masters.find(({ slots }) => slots.some(([first, last]) => first <= slot && slot <= last));
    if (!found) throw new Error(`slot ${slot} has no master`);
    return found;
  };
  return {
    url: `redis-cluster://${servers.map(({ port }) => `127.0.0.1:${port}`).join(',')}`,
    nodes,
    masterOf,
    slotOf: (key) => ask<number>(servers[0]?.port ?? 0, 'CLUSTER', 'KEYSLOT', key),
    async moveSlot(slot, from, to) {
      await ask(to.port, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', from.id);
      await ask(from.port, 'CLUSTER', 'SETSLOT', slot, 'MIGRATING', to.id);
      await moveKeys(slot, from, to);
      // The new owner first: it must not send its clients back.
      for (const { port } of [to, from]) await ask(port, 'CLUSTER', 'SETSLOT', slot, 'NODE', to.id);
    },
  };
}

async function moveKeys(slot: number, from: ClusterNode, to: ClusterNode): Promise<void> {
  for (;;) {
    const keys = await ask<string[]>(from.port, 'CLUSTER', 'GETKEYSINSLOT', slot, KEYS);
    if (keys.length === 0) return;
    await ask(from.port, 'MIGRATE', '127.0.0.1', to.port, '', 0, MIGRATE_MS, 'KEYS', ...keys);
  }
}

/** One command to one node. Throws its words where it refuses. */
async function ask<T>(port: number, name: string, ...args: readonly (string | number)[]): Promise<T> {
  const redis = connectRedis(`redis://127.0.0.1:${port}`, createLogger('redis-cluster', 'silent'));
  try {
    return await redis.command<T>(name, ...args);
  } finally {
    await redis.stop();
  }
}

interface Place {
  readonly port: number;
  readonly bus: number;
}

async function joinAll(places: readonly Place[]): Promise<void> {
  const [masters, replicas] = [places.slice(0, MASTERS), places.slice(MASTERS)];
  await meet(places);
  for (const [i, { port }] of masters.entries()) {
    const [from, to] = [i, i + 1].map((n) => Math.floor((n * SLOTS) / MASTERS)) as [number, number];
    await ask(port, 'CLUSTER', 'ADDSLOTSRANGE', from, to - 1);
  }
  for (const { port } of places) await agreed(port, ['CLUSTER', 'INFO'], /cluster_state:ok/);
  for (const [i, { port }] of replicas.entries()) {
    const master = await ask<string>(masters[i]?.port ?? 0, 'CLUSTER', 'MYID');
    await agreed(port, ['CLUSTER', 'REPLICATE', master], /OK/);
  }
  for (const { port } of replicas) await agreed(port, ['INFO', 'replication'], /master_link_status:up/);
  // Who is whose replica is known to all: or a master that dies now has nobody to follow it.
  for (const { port } of places) await agreed(port, ['CLUSTER', 'NODES'], new RegExp(`(\\bslave\\b[^]*){${MASTERS}}`));
}

async function meet(places: readonly Place[]): Promise<void> {
  const [first, ...others] = places;
  for (const { port } of others) await ask(port, 'CLUSTER', 'MEET', '127.0.0.1', first?.port ?? 0, first?.bus ?? 0);
  const known = new RegExp(`cluster_known_nodes:${places.length}\\b`);
  for (const { port } of places) await agreed(port, ['CLUSTER', 'INFO'], known);
}

/** Nodes give no event for "we agree": asked again until the answer is as it must be, bounded. */
async function agreed(port: number, [name, ...args]: readonly [string, ...string[]], answer: RegExp): Promise<void> {
  const until = Date.now() + AGREED_MS;
  while (!answer.test(await ask<string>(port, name, ...args).catch(() => ''))) {
    if (Date.now() > until) throw new Error(`the nodes of the Redis Cluster do not agree within ${AGREED_MS / 1000} s`);
    await pause(POLL_MS);
  }
}

/** A line of CLUSTER NODES: id, address, flags, master, ping, pong, epoch, link, slots; see redis.io/commands/cluster-nodes. */
function parseNode(line: string): ClusterNode {
  const [id = '', address = '', flags = '', , , , , , ...ranges] = line.split(' ');
  const slots = ranges
    .filter((range) => !range.startsWith('['))
    .map((range) => {
      const [first = 0, last = first] = range.split('-').map(Number);
      return [first, last] as const;
    });
  const flag = flags.split(',');
  return {
    id,
    port: Number(/:(\d+)@/.exec(address)?.[1] ?? 0),
    isMaster: flag.includes('master'),
    isDown: flag.includes('fail') || flag.includes('fail?'),
    slots,
  };
}
