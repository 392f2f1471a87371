/** What the tests of Redis need: servers and clusters of their own, and a proxy that loses replies. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { StoreUnderTest } from '@flashsale/sale/contract';
import { Redis } from 'ioredis';
import { createLogger } from './log.ts';
import { createSaleStore, type RedisConnection } from './redis.ts';

const SLOTS = 16_384;
const READY_MS = 20_000;
export const quiet = createLogger('redis-test', 'silent');

export interface TestCluster {
  readonly url: string;
  readonly ports: readonly number[];
  stop(): Promise<void>;
}

/** Servers on loopback, in memory, joined to a Redis Cluster with the slots spread over them. Takes two free ports a node. */
export async function startCluster(free: readonly number[]): Promise<TestCluster> {
  const count = free.length / 2;
  const nodes = Array.from({ length: count }, (_, i) => ({ port: free[i] ?? 0, bus: free[count + i] ?? 0 }));
  const folder = mkdtempSync(join(tmpdir(), 'flashsale-redis-'));
  const children = nodes.map(({ port, bus }) => {
    const cluster = ['--cluster-enabled', 'yes', '--cluster-port', `${bus}`, '--cluster-node-timeout', '2000'];
    return spawnRedis(port, join(folder, `${port}`), cluster);
  });
  const stop = async (): Promise<void> => {
    await Promise.all(children.map(endServer));
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await joinNodes(nodes);
  } catch (error) {
    await stop();
    throw error;
  }
  const ports = nodes.map(({ port }) => port);
  return { url: `redis-cluster://${ports.map((port) => `127.0.0.1:${port}`).join(',')}`, ports, stop };
}

/** A server in memory on a port and in a folder of the caller's. */
export function spawnRedis(port: number, dir: string, more: readonly string[] = []): ChildProcess {
  mkdirSync(dir, { recursive: true });
  const settings = ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', dir];
  return spawn('redis-server', [...settings, ...more], { stdio: 'ignore' });
}

export async function endServer(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

async function joinNodes(nodes: readonly { readonly port: number; readonly bus: number }[]): Promise<void> {
  const clients = nodes.map(({ port }) => new Redis({ port, retryStrategy: () => 20, maxRetriesPerRequest: null }));
  // Until the server listens, each attempt to connect is refused.
  for (const client of clients) client.on('error', () => undefined);
  try {
    for (const [i, client] of clients.entries()) {
      const [from, to] = [i, i + 1].map((n) => Math.floor((n * SLOTS) / clients.length)) as [number, number];
      await client.call('CLUSTER', 'ADDSLOTSRANGE', from, to - 1);
      const first = nodes[0] ?? { port: 0, bus: 0 };
      if (i > 0) await client.call('CLUSTER', 'MEET', '127.0.0.1', first.port, first.bus);
    }
    for (const client of clients) await until(async () => /cluster_state:ok/.test(await client.cluster('INFO')));
  } finally {
    for (const client of clients) client.disconnect();
  }
}

/** Servers give no event for "the cluster agrees", so this asks again; bounded. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + READY_MS;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`not so within ${READY_MS} ms: ${holds.toString()}`);
    await pause(10);
  }
}

/** The store with a way to lose keys. `ports`: every server that may have some. */
export function underTest(redis: RedisConnection, ports: readonly number[]): StoreUnderTest {
  const each = async <T>(work: (client: Redis) => Promise<T>): Promise<T[]> => {
    const clients = ports.map((port) => new Redis({ port }));
    try {
      return await Promise.all(clients.map(work));
    } finally {
      for (const client of clients) client.disconnect();
    }
  };
  return {
    store: createSaleStore(redis),
    keysOf: async (sale) => (await each((client) => client.keys(`fs:{${sale}:*`))).flat().sort(),
    lose: async (key) => {
      await redis.command('DEL', key);
    },
  };
}

export interface LossyProxy {
  readonly port: number;
  /** The next request reaches the server; its reply and the connection are lost. */
  loseNextReply(): void;
  /** Passes nothing on in either direction from now on, with the connections open: a server that hangs. */
  hang(): void;
  /** The connections of this moment pass nothing on from now on; new ones do: a router that forgot them. */
  hangOpen(): void;
  readonly lost: number;
  stop(): Promise<void>;
}

export async function startProxy(target: number): Promise<LossyProxy> {
  const state = { armed: false, hung: false, lost: 0 };
  const sockets = new Set<Socket>();
  const mute = new WeakSet<Socket>();
  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket.on('error', () => undefined).on('close', () => sockets.delete(socket)));
    }
    const isMute = (): boolean => state.hung || mute.has(client);
    client.on('data', (data) => !isMute() && upstream.write(data));
    upstream.on('data', (data) => {
      if (isMute()) return;
      if (!state.armed) return void client.write(data);
      state.armed = false;
      state.lost++;
      client.destroy();
      upstream.destroy();
    });
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    loseNextReply: () => (state.armed = true),
    hang: () => (state.hung = true),
    hangOpen: () => {
      for (const socket of sockets) mute.add(socket);
    },
    get lost() {
      return state.lost;
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
