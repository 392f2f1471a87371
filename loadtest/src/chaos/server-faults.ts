/** Faults of servers that take more than a signal: a replica that is behind takes over, a disk is full. */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from '@flashsale/local/e2e/test-platform';
import { freePort } from '@flashsale/local/ports';
import { startRedis } from '@flashsale/local/servers/redis';
import type { Supervised } from '@flashsale/local/supervisor/supervised';
import { createLogger } from '@flashsale/platform/log';
import { connectRedis } from '@flashsale/platform/redis';
import { fillDisk, freeDisk } from './disk.ts';
import type { Fault } from './fault.ts';
import { SERVERS, supervise, type Ground } from './ground.ts';

const SYNCED_MS = 30_000;
/** So much of what was acknowledged is lost with the old primary: a dozen purchases at least. */
const BEHIND_BYTES = 10_000;
const FULL_MS = 4_000;

interface Replica {
  readonly port: number;
  readonly server: Supervised;
  /** Its proxy, through which it hears from the primary. */
  readonly wire: string;
}

/** One command past the proxies. */
async function ask(port: number, name: string, ...args: (string | number)[]): Promise<string> {
  const redis = connectRedis(`redis://127.0.0.1:${port}`, createLogger('chaos', 'silent'));
  try {
    return await redis.command<string>(name, ...args);
  } finally {
    await redis.stop();
  }
}

async function startReplica(ground: Ground): Promise<Replica> {
  const [port, listen] = [await freePort(), await freePort()];
  const wire = `replication-${port}`;
  await ground.proxies.point(wire, listen, ground.portOf('redis'));
  const server = supervise('redis', () => startRedis({ dataDir: join(ground.folder, wire), port }));
  await server.start();
  await ask(port, 'REPLICAOF', '127.0.0.1', listen);
  await eventually('the replica has all', SYNCED_MS, async () =>
    (await ask(port, 'INFO', 'replication')).includes('master_link_status:up') ? true : undefined,
  );
  return { port, server, wire };
}

const offsetOf = async (port: number): Promise<number> => {
  const info = await ask(port, 'INFO', 'replication');
  const name = info.includes('role:slave') ? 'slave_repl_offset' : 'master_repl_offset';
  return Number(new RegExp(`${name}:(\\d+)`).exec(info)?.[1] ?? NaN);
};

/** The wire to the replica goes mute; when it is far enough behind, the primary dies and the replica takes its place. */
function promotion(): Fault {
  let replica: Replica | undefined;
  return {
    name: 'redis: a replica promoted, 10 KB of writes behind',
    lastsMs: 0,
    async prepare(ground) {
      replica = await startReplica(ground);
      return () => Promise.resolve();
    },
    async strike(ground) {
      if (!replica) throw new Error('there is no replica');
      const { port, server, wire } = replica;
      for (const stream of ['upstream', 'downstream'] as const)
        await ground.proxies.add(wire, { type: 'timeout', stream, attributes: { timeout: 0 } });
      const primary = ground.portOf('redis');
      await eventually('the replica is behind', SYNCED_MS, async () =>
        (await offsetOf(primary)) - (await offsetOf(port)) > BEHIND_BYTES ? true : undefined,
      );
      const dead = ground.pidOf('redis');
      process.kill(dead, 'SIGSTOP');
      await ask(port, 'REPLICAOF', 'NO', 'ONE');
      const old = await ground.replace('redis', port, server);
      const ended = old.stop();
      process.kill(dead, 'SIGKILL');
      await ended;
      return () => Promise.resolve();
    },
  };
}

const FULL_DISKS: readonly Fault[] = SERVERS.map((name) => ({
  name: `${name}: disk full`,
  lastsMs: FULL_MS,
  ground: 'disks',
  async strike({ folder }) {
    await fillDisk(join(folder, name));
    // What its files still have room for is soon used up; then it is filled for good.
    await pause(FULL_MS);
    await fillDisk(join(folder, name));
    return () => {
      freeDisk(join(folder, name));
      return Promise.resolve();
    };
  },
}));

export const SERVER_FAULTS: readonly Fault[] = [promotion(), ...FULL_DISKS];
