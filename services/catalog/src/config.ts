/** What the catalog reads from its environment. */
import { parseConfig, vars, z } from '@flashsale/platform/config';

const shape = {
  PORT: vars.PORT,
  DATABASE_URL: vars.DATABASE_URL,
  REDIS_URL: vars.REDIS_URL,
  /** How long a page stays in the cache that was loaded because somebody asked for it, in ms; at random up to 30 % less. */
  PAGE_TTL_MS: z.coerce.number().int().min(1_000).max(3_600_000).default(60_000),
};

export type CatalogConfig = ReturnType<typeof readConfig>;

/** Throws ConfigError, which names the variable. */
export function readConfig(env?: NodeJS.ProcessEnv) {
  return parseConfig(shape, env);
}
