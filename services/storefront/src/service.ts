/** Builds the edge from its configuration: the proxy ahead, the WebSocket tunnels, the pages behind. */
import { createApp, finishApp, httpPart, type HttpPart } from '@flashsale/platform/http';
import type { Logger } from '@flashsale/platform/log';
import type { Part } from '@flashsale/platform/run';
import type { StorefrontConfig } from './config.ts';
import { docsRoutes } from './docs.ts';
import { pageRoutes } from './pages.ts';
import { createProxy } from './proxy.ts';
import { Tunnels } from './tunnel.ts';

export function storefrontService(config: StorefrontConfig, log: Logger): { parts: readonly Part[]; http: HttpPart } {
  const deadlineMs = config.UPSTREAM_DEADLINE_MS;
  const proxy = createProxy(
    {
      checkout: config.CHECKOUT_URL,
      orders: config.ORDERS_URL,
      catalog: config.CATALOG_URL,
      identity: config.IDENTITY_URL,
      live: config.LIVE_URL,
    },
    deadlineMs,
  );
  const app = createApp(log);
  app.use(pageRoutes(), docsRoutes());
  finishApp(app, log);
  const http = httpPart({ app, port: config.PORT, log, hot: proxy.hot });
  const tunnels = new Tunnels({ liveUrl: config.LIVE_URL, deadlineMs, maxTunnels: config.MAX_TUNNELS });
  tunnels.attach(http.server);
  return { parts: [proxy, http, tunnels], http };
}
