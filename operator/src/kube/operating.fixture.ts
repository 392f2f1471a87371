/** An operator in front of the misbehaving API server: it has come right when every sale is as its spec asks, in Redis as well. */
import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { systemClock } from '@flashsale/kube/clock';
import { PAGE, WATCHDOG_MS, type Limits, type Subject } from '@flashsale/kube/faults/faults.fixture';
import type { FaultyServer } from '@flashsale/kube/faults/server.fixture';
import type { KubeObject } from '@flashsale/kube/object';
import { documentOf, itemOf, SKU, World } from '../world.fixture.ts';
import { FLASH_SALES, type FlashSaleObject } from './resources.ts';
import { startOperator } from './world.fixture.ts';

/**
 * A write into a connection that is dead takes the client's 10 s, and a pass that failed often waits for 5 s. About 60
 * requests without any fault; in 2 s a pass that fails is tried four times at most, for each of ten sales, and each time
 * writes what it did and why it failed, and reads after both.
 */
export const OPERATOR: Limits = { extraS: 15, mostRequests: 60 + 160 };

const SALES = 8;
const namespace = 'n';
/** They are Armed until the end of the test. */
const OPENS_IN_MS = 30 * 60_000;
/** Of characters of one to four bytes. */
const TITLE = 'aß漢🎟'.repeat(5);

interface Spec {
  readonly items: readonly { readonly stock: number }[];
  readonly paused?: boolean;
}

export const startOperating =
  (redisUrl: string) =>
  async ({ storage, config }: FaultyServer): Promise<Subject> => {
    const { plural } = FLASH_SALES;
    const own = `faults-${randomBytes(4).toString('hex')}`;
    const opensAt = Date.now() + OPENS_IN_MS;
    const closesAt = opensAt + OPENS_IN_MS;
    const key = (short: string): string => `${namespace}/${own}-${short}`;
    const items = (stock: number) => [{ ...itemOf(stock), title: TITLE }];
    const make = (short: string): unknown =>
      storage.create(plural, documentOf(`${own}-${short}`, { opensAt, closesAt, items: items(10) }, namespace));
    const edit = (short: string, spec: object): unknown =>
      storage.change(plural, key(short), 'main', (sale) => ({ ...sale, spec: { ...(sale.spec as object), ...spec } }));
    for (let n = 0; n < SALES; n += 1) make(String(n));

    const world = await World.start(redisUrl);
    const operator = await startOperator(world, config, namespace, (deps) => ({ ...deps, timers: systemClock }), {
      pageSize: PAGE,
      idleMs: WATCHDOG_MS,
    });
    await operator.run();
    const removed = new Set<string>();
    const isRight = async (object: KubeObject): Promise<boolean> => {
      const { metadata, spec, status } = object as FlashSaleObject & { readonly spec: Spec };
      if (!status?.accepted) return false;
      const found = (await world.store.inspect(status.accepted))?.items.get(SKU);
      const stock = spec.items[0]?.stock;
      const gate = spec.paused === true ? 'shut' : 'open';
      return isDeepStrictEqual(
        [status.phase, status.observedGeneration, status.gate?.split(' ')[1], found],
        ['Armed', metadata.generation, gate, { stock, free: stock, held: 0, sold: 0 }],
      );
    };
    return {
      edit: (round) => {
        edit(`${round}`, { items: items(20 + round) });
        edit(`${round + 2}`, { paused: true });
        // Twice: only the last counts.
        edit(`${round + 4}`, { items: items(5), paused: true });
        edit(`${round + 4}`, { items: items(8 - round), paused: false });
        storage.remove(plural, key(`${round + 6}`));
        removed.add(`${own}-${round + 6}`);
        make(`new-${round}`);
      },
      converged: async () => {
        const sales = storage.all(plural);
        if (sales.some(({ metadata }) => removed.has(metadata.name))) return false;
        if (!(await Promise.all(sales.map(isRight))).every(Boolean)) return false;
        const left = await Promise.all([...removed].map((name) => world.redis.command('KEYS', `fs:{${name}:*`)));
        return (left as string[][]).every((keys) => keys.length === 0);
      },
      stop: async () => {
        await operator.stop();
        await world.stop();
      },
    };
  };
