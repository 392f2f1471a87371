/** What orders reads from its environment. */
import { parseConfig, vars } from '@flashsale/platform/config';

const shape = {
  PORT: vars.PORT,
  DATABASE_URL: vars.DATABASE_URL,
  REDIS_URL: vars.REDIS_URL,
  KAFKA_BROKERS: vars.KAFKA_BROKERS,
  OIDC_ISSUER: vars.OIDC_ISSUER,
  OIDC_AUDIENCE: vars.OIDC_AUDIENCE,
};

export type OrdersConfig = ReturnType<typeof readConfig>;

/** Throws ConfigError, which names the variable. */
export function readConfig(env?: NodeJS.ProcessEnv) {
  return parseConfig(shape, env);
}
