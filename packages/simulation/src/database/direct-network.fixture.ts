/** A network without faults whose scheduler runs by itself, for tests of one store. */
import { Network } from '../network.ts';
import { Scheduler } from '../scheduler.ts';

export function directNetwork(): Network {
  const scheduler = new Scheduler();
  const network = new Network(scheduler, 1, {
    faultAt: () => undefined,
    isCut: () => undefined,
    crash: () => undefined,
    trace: () => undefined,
    tracing: false,
  });
  let running = false;
  const call = network.call.bind(network);
  network.call = (life, store, what, effect, options) => {
    const answer = call(life, store, what, effect, options);
    if (!running) {
      running = true;
      void scheduler.run(() => false, Infinity, Infinity).finally(() => (running = false));
    }
    return answer;
  };
  return network;
}
