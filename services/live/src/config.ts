/** What the live service reads from its environment. */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { parseConfig, vars, z } from '@flashsale/platform/config';

const shape = {
  PORT: vars.PORT,
  REDIS_URL: vars.REDIS_URL,
  OIDC_ISSUER: vars.OIDC_ISSUER,
  OIDC_AUDIENCE: vars.OIDC_AUDIENCE,
  /** Where orders answers `/internal/purchases/{id}`. */
  ORDERS_URL: z.url(),
  /** Names this process in presence and in its push channel; must differ from every other live server's. */
  SERVER_ID: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,64}$/, 'up to 64 letters, digits, ".", "_" or "-"')
    .default(() => `${hostname().slice(0, 48)}-${randomUUID().slice(0, 8)}`),
  /** Pages on other origins that may connect, separated by commas. The page's own origin always may. */
  LIVE_ORIGINS: z
    .string()
    .default('')
    .transform((text) => text.split(',').filter((origin) => origin !== '')),
  /** Connections this server takes; about 45 KiB each. */
  MAX_CONNECTIONS: z.coerce.number().int().min(1).max(200_000).default(20_000),
};

export type LiveConfig = ReturnType<typeof readConfig>;

/** Throws ConfigError, which names the variable. */
export function readConfig(env?: NodeJS.ProcessEnv) {
  return parseConfig(shape, env);
}
