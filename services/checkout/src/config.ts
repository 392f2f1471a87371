/** The environment of checkout, parsed once at start. */
import { parseConfig, vars, z } from '@flashsale/platform/config';

const SHAPE = {
  PORT: vars.PORT,
  ADMIN_PORT: vars.ADMIN_PORT,
  REDIS_URL: vars.REDIS_URL,
  KAFKA_BROKERS: vars.KAFKA_BROKERS,
  OIDC_ISSUER: vars.OIDC_ISSUER,
  OIDC_AUDIENCE: vars.OIDC_AUDIENCE,
  LOG_LEVEL: vars.LOG_LEVEL,
  /** Where orders answers `/internal/purchases/{id}`. */
  ORDERS_URL: z.url(),
};

export type CheckoutConfig = ReturnType<typeof readConfig>;

export function readConfig(env: NodeJS.ProcessEnv) {
  return parseConfig(SHAPE, env);
}
