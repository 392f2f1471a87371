/** Builds the live service from its configuration. */
import { httpPart, internalClient, type HttpPart } from '@flashsale/platform/http';
import type { Logger } from '@flashsale/platform/log';
import { Counter, Gauge } from '@flashsale/platform/metrics';
import { createTokenVerifier } from '@flashsale/platform/oidc';
import { connectRedis, createPresence, createSaleStore, createSignals, createTickets } from '@flashsale/platform/redis';
import { loop, type Part } from '@flashsale/platform/run';
import { createLiveApp } from './app.ts';
import type { LiveConfig } from './config.ts';
import { Hub } from './hub.ts';
import { presentState } from './present.ts';
import { LocalPresence } from './presence.ts';
import { Sockets } from './sockets.ts';
import { updates } from './updates.ts';

/** Ping of every connection; one that misses it is ended at the next. Proxies cut idle connections after 60 s. */
const HEARTBEAT_MS = 20_000;
/** Longest look-up of a purchase in the ledger. */
const LEDGER_MS = 2_000;

let hubOfMetrics: Hub | undefined;
const dropped = new Counter({ name: 'live_dropped_total', help: 'Clients dropped because they were too slow.' });
new Gauge({
  name: 'live_connections',
  help: 'Open WebSockets.',
  collect() {
    this.set(hubOfMetrics?.connections.size ?? 0);
  },
});

export function liveService(config: LiveConfig, log: Logger): { parts: readonly Part[]; http: HttpPart; hub: Hub } {
  const onError = (error: unknown): void => {
    log.warn({ err: error }, 'live');
  };
  const redis = connectRedis(config.REDIS_URL, log);
  const store = createSaleStore(redis);
  const tickets = createTickets(redis);
  const shared = createPresence(redis, config.SERVER_ID);
  const presence = new LocalPresence(shared, onError);
  const hub = new Hub({
    presentState: presentState((id) => store.hold(id), internalClient(config.ORDERS_URL, LEDGER_MS)),
    onError,
    onDropped: () => dropped.inc(),
  });
  hubOfMetrics = hub;
  const verifier = createTokenVerifier({ issuer: config.OIDC_ISSUER, audience: config.OIDC_AUDIENCE });
  const app = createLiveApp({ log, verifier, issue: (subject) => tickets.issue(subject) });
  const http = httpPart({ app, port: config.PORT, log });
  const sockets = new Sockets({
    serverId: config.SERVER_ID,
    hub,
    presence,
    redeem: (ticket) => tickets.redeem(ticket),
    origins: new Set(config.LIVE_ORIGINS),
    maxConnections: config.MAX_CONNECTIONS,
    onError,
  });
  sockets.attach(http.server);

  const heartbeat = loop('heartbeat', log, HEARTBEAT_MS, () => hub.beat());
  const [pubsub, refresh] = updates({ signals: createSignals(redis), shared, presence, hub, log, onError });
  return { parts: [redis, pubsub, heartbeat, refresh, http, sockets], http, hub };
}
