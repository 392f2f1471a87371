/** The real adapter on the simulated Redis keeps the sale store's contract: commands, scripts, streams, losses. */
import { setImmediate as turn } from 'node:timers/promises';
import { createSaleStore, type RedisConnection } from '@flashsale/platform/redis';
import { saleStoreContract } from '@flashsale/sale/contract';
import { RedisServer } from './server.ts';

saleStoreContract('the sale store on the simulated Redis', () => {
  const server = new RedisServer({ now: () => Date.now() });
  const store = createSaleStore(directly(server));
  return Promise.resolve({
    store,
    keysOf: (sale) => Promise.resolve([...server.data.keys()].filter((key) => key.startsWith(`fs:{${sale}:`)).sort()),
    lose: (key) => Promise.resolve(void server.command('DEL', [key])),
  });
});

/** A network that lets calls overtake each other: in lockstep, two borrowers would take from each other for ever. */
function directly(server: RedisServer): RedisConnection {
  const later = async <T>(work: () => unknown): Promise<T> => {
    for (let turns = Math.random() * 4; turns > 1; turns--) await turn();
    return work() as T;
  };
  return {
    name: 'redis',
    command: (name, ...args) => later(() => server.command(name, args)),
    run: (script, keys, args) => later(() => server.run(script, keys, args)),
    subscriber: { listen: () => Promise.resolve(() => Promise.resolve()), stop: () => Promise.resolve() },
    ready: () => true,
    start: () => Promise.resolve(),
    stop: () => Promise.resolve(),
  };
}
