/** What the edge reads from its environment. */
import { parseConfig, vars, z } from '@flashsale/platform/config';

const shape = {
  PORT: vars.PORT,
  CHECKOUT_URL: z.url(),
  ORDERS_URL: z.url(),
  CATALOG_URL: z.url(),
  IDENTITY_URL: z.url(),
  LIVE_URL: z.url(),
  /** Longest time from a whole request to the head of its answer, in ms. */
  UPSTREAM_DEADLINE_MS: z.coerce.number().int().min(100).max(60_000).default(5_000),
  /** WebSockets passed through at a time. */
  MAX_TUNNELS: z.coerce.number().int().min(1).max(200_000).default(20_000),
};

export type StorefrontConfig = ReturnType<typeof readConfig>;

/** Throws ConfigError, which names the variable. */
export function readConfig(env?: NodeJS.ProcessEnv) {
  return parseConfig(shape, env);
}
