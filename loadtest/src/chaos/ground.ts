/** Where faults happen: the whole platform, with Redis, Kafka and PostgreSQL of its own behind proxies that can be told to misbehave. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, TestPlatform } from '@flashsale/local/e2e/test-platform';
import { freePort } from '@flashsale/local/ports';
import { startKafka } from '@flashsale/local/servers/kafka';
import { startPostgres } from '@flashsale/local/servers/postgres';
import { startRedis } from '@flashsale/local/servers/redis';
import { startRedisCluster, type RedisCluster } from '@flashsale/local/servers/redis-cluster';
import { mountDisk, unmountDisk } from './disk.ts';
import { startToxiproxy, type Toxiproxy } from '@flashsale/local/servers/toxiproxy';
import { Supervised, type SupervisedOptions } from '@flashsale/local/supervisor/supervised';

export const SERVERS = ['redis', 'kafka', 'postgres'] as const;
export type Server = (typeof SERVERS)[number];
export const SERVICES = ['storefront', 'checkout', 'payments-1', 'orders', 'live', 'operator'] as const;
export type ProcessName = Server | (typeof SERVICES)[number];

const BACK_MS = 60_000;

interface Place {
  /** Of the proxy, where the services look for the server. */
  readonly listen: number;
  readonly port: number;
  readonly server: Supervised;
}

interface Parts {
  /** What the servers write is below it, a folder each. */
  readonly folder: string;
  readonly proxies: Toxiproxy;
  readonly places: Map<Server, Place>;
  readonly cluster: RedisCluster | undefined;
}

/** `cluster`: a Redis Cluster of six, without proxies, in place of the one Redis. `disks`: a small disk for each server. */
export type GroundKind = 'usual' | 'cluster' | 'disks';

export class Ground {
  readonly platform: TestPlatform;
  readonly #parts: Parts;

  private constructor(parts: Parts, platform: TestPlatform) {
    this.#parts = parts;
    this.platform = platform;
  }

  /** Starts everything. The caller ends it with `end()`. */
  static async start(kind: GroundKind = 'usual'): Promise<Ground> {
    const parts = await startServers(kind);
    const at = (name: Server): string => `127.0.0.1:${parts.places.get(name)?.listen ?? 0}`;
    try {
      const platform = await TestPlatform.start({
        ...process.env,
        FLASHSALE_REDIS_URL: parts.cluster?.url ?? `redis://${at('redis')}`,
        FLASHSALE_KAFKA_BROKERS: at('kafka'),
        FLASHSALE_POSTGRES_URL: `postgres://flashsale@${at('postgres')}/postgres`,
      });
      return new Ground(parts, platform);
    } catch (error) {
      await endServers(parts);
      throw error;
    }
  }

  get proxies(): Toxiproxy {
    return this.#parts.proxies;
  }

  get folder(): string {
    return this.#parts.folder;
  }

  /** Throws where there is only one Redis. */
  get cluster(): RedisCluster {
    if (!this.#parts.cluster) throw new Error('this ground has no Redis Cluster');
    return this.#parts.cluster;
  }

  async end(): Promise<void> {
    await this.proxies.heal();
    await this.platform.end();
    await endServers(this.#parts);
  }

  /** Pid of the process that plays the part now. Throws where there is none. */
  pidOf(name: ProcessName): number {
    const pid = this.#parts.places.get(name as Server)?.server.pid ?? this.platform.pidOf(name);
    if (pid === undefined) throw new Error(`${name} does not run`);
    return pid;
  }

  /** Resolves when another process than `old` plays the part. */
  async reborn(name: ProcessName, old: number): Promise<void> {
    await eventually(`${name} is back`, BACK_MS, () => {
      const isServer = this.#parts.places.has(name as Server);
      const pid = isServer ? this.#parts.places.get(name as Server)?.server.pid : this.platform.pidOf(name);
      return Promise.resolve(pid !== undefined && pid !== old ? true : undefined);
    });
  }

  /** The server's own port, past its proxy. */
  portOf(name: Server): number {
    return this.#parts.places.get(name)?.port ?? 0;
  }

  /** Another server takes the part: the proxy leads to it from now on. The old one is the caller's to end. */
  async replace(name: Server, port: number, server: Supervised): Promise<Supervised> {
    const place = this.#parts.places.get(name);
    if (!place) throw new Error(`there is no ${name}`);
    await this.proxies.point(name, place.listen, port);
    this.#parts.places.set(name, { ...place, port, server });
    return place.server;
  }
}

async function startPlace(name: Server, dataDir: string, proxies: Toxiproxy): Promise<Place> {
  const [listen, port] = [await freePort(), await freePort()];
  // Its clients go where it says that it is.
  const launches = {
    redis: () => startRedis({ dataDir, port }),
    kafka: () => startKafka({ dataDir, port, advertisedPort: listen }),
    postgres: () => startPostgres({ dataDir, port }),
  };
  const server = supervise(name, launches[name]);
  await server.start();
  await proxies.point(name, listen, port);
  return { listen, port, server };
}

/** A server that starts again when it ends. */
export function supervise(name: string, launch: SupervisedOptions['launch']): Supervised {
  return new Supervised({ name, launch, onState: () => undefined, maxBackoffMs: 2_000 });
}

async function startServers(kind: GroundKind): Promise<Parts> {
  const folder = await mkdtemp(join(tmpdir(), 'flashsale-chaos-'));
  const proxies = await startToxiproxy({ dataDir: join(folder, 'toxiproxy'), port: await freePort() });
  const places = new Map<Server, Place>();
  let cluster: RedisCluster | undefined;
  try {
    for (const name of SERVERS) {
      if (kind === 'disks') mountDisk(join(folder, name));
      if (name === 'redis' && kind === 'cluster') cluster = await startRedisCluster(join(folder, name));
      else places.set(name, await startPlace(name, join(folder, name), proxies));
    }
    return { folder, proxies, places, cluster };
  } catch (error) {
    await endServers({ folder, proxies, places, cluster });
    throw error;
  }
}

async function endServers({ folder, proxies, places, cluster }: Parts): Promise<void> {
  await Promise.all([...places.values()].map(({ server }) => server.stop()));
  await cluster?.stop();
  await proxies.stop();
  for (const name of SERVERS) await unmountDisk(join(folder, name));
  await rm(folder, { recursive: true, force: true });
}
