/** Faults of a Redis Cluster under a sale of eight shards. */
import { eventually } from '@flashsale/local/e2e/test-platform';
import type { ClusterNode, RedisCluster } from '@flashsale/local/servers/redis-cluster';
import { keys } from '@flashsale/sale';
import type { Fault } from './fault.ts';

/** Of the sale of every run. */
export const SHARDS = 8;
const FAILOVER_MS = 30_000;

async function slotsOf(cluster: RedisCluster, sale: string): Promise<number[]> {
  return Promise.all(Array.from({ length: SHARDS }, (_, shard) => cluster.slotOf(keys.meta(sale, shard))));
}

/** The master with the most shards of the sale, and its slots of them. */
async function busiest(cluster: RedisCluster, sale: string): Promise<{ master: ClusterNode; slots: number[] }> {
  const byMaster = new Map<string, { master: ClusterNode; slots: number[] }>();
  for (const slot of await slotsOf(cluster, sale)) {
    const master = await cluster.masterOf(slot);
    const known = byMaster.get(master.id) ?? { master, slots: [] };
    known.slots.push(slot);
    byMaster.set(master.id, known);
  }
  const [first] = [...byMaster.values()].toSorted((a, b) => b.slots.length - a.slots.length);
  if (!first) throw new Error(`${sale} has no shards`);
  return first;
}

/** Its replica takes over, as far behind as it is. Cleared once it has. */
const MASTER_KILLED: Fault = {
  name: 'cluster: the busiest master killed',
  lastsMs: 0,
  ground: 'cluster',
  async strike({ cluster }, sale) {
    const { master, slots } = await busiest(cluster, sale);
    await cluster.servers.find(({ port }) => port === master.port)?.kill();
    return async () => {
      for (const slot of slots) {
        await eventually(`slot ${slot} has a new master`, FAILOVER_MS, async () => {
          const heir = await cluster.masterOf(slot).catch(() => undefined);
          return heir && heir.id !== master.id ? heir : undefined;
        });
      }
    };
  },
};

/** Every shard moves to another master, one after the other. */
const RESHARDING: Fault = {
  name: 'cluster: every shard moved to another master',
  lastsMs: 0,
  ground: 'cluster',
  async strike({ cluster }, sale) {
    for (const slot of await slotsOf(cluster, sale)) {
      const from = await cluster.masterOf(slot);
      const others = (await cluster.nodes()).filter(
        ({ id, isMaster, isDown }) => isMaster && !isDown && id !== from.id,
      );
      const to = others[slot % others.length];
      if (!to) throw new Error('there is only one master');
      await cluster.moveSlot(slot, from, to);
    }
    return () => Promise.resolve();
  },
};

export const CLUSTER_FAULTS: readonly Fault[] = [RESHARDING, MASTER_KILLED];
