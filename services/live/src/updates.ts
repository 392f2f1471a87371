/** How a live process hears what to push: over Pub/Sub, and as whom Redis knows its buyers. */
import type { Logger } from '@flashsale/platform/log';
import type { createPresence } from '@flashsale/platform/redis';
import { loop, type Part } from '@flashsale/platform/run';
import type { Signals } from '@flashsale/sale';
import type { Hub } from './hub.ts';
import type { LocalPresence } from './presence.ts';

/** Well within the time after which a registration runs out (90 s). */
const PRESENCE_REFRESH_MS = 25_000;

export interface UpdatesOptions {
  readonly signals: Pick<Signals, 'subscribe'>;
  readonly shared: Pick<ReturnType<typeof createPresence>, 'onUpdate'>;
  readonly presence: LocalPresence;
  readonly hub: Hub;
  readonly log: Logger;
  readonly onError: (error: unknown) => void;
}

/** The subscription, and the loop that keeps registrations alive. */
export function updates({ signals, shared, presence, hub, log, onError }: UpdatesOptions): readonly [Part, Part] {
  /** Redis was away: registrations may be gone and pushes missed. */
  const recover = async (): Promise<void> => {
    await presence.refresh();
    await hub.resendWatched();
  };
  const pubsub: Part = {
    name: 'pubsub',
    async start() {
      await shared.onUpdate((news) => hub.deliver(news));
      await signals.subscribe(
        (message) => hub.broadcast(message),
        () => void recover().catch(onError),
      );
    },
    stop() {
      hub.stop();
      return Promise.resolve();
    },
  };
  return [pubsub, loop('presence', log, PRESENCE_REFRESH_MS, () => presence.refresh())];
}
