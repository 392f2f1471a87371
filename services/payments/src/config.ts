/** What payments reads from its environment. */
import { parseConfig, vars, z } from '@flashsale/platform/config';

const shape = {
  PORT: vars.PORT,
  DATABASE_URL: vars.DATABASE_URL,
  REDIS_URL: vars.REDIS_URL,
  KAFKA_BROKERS: vars.KAFKA_BROKERS,
  /** Credit that an account nobody opened gets at its first charge, in minor units. */
  OPENING_CREDIT_MINOR: z
    .string()
    .regex(/^\d{1,15}$/, 'must be a whole number of minor units')
    .transform(Number)
    .default(0),
  /** Currency of the accounts that `PUT /internal/accounts` opens. */
  ACCOUNT_CURRENCY: z
    .string()
    .regex(/^[A-Z]{3}$/, 'must be an ISO 4217 code')
    .default('EUR'),
};

export type PaymentsConfig = ReturnType<typeof readConfig>;

/** Throws ConfigError, which names the variable. */
export function readConfig(env?: NodeJS.ProcessEnv) {
  return parseConfig(shape, env);
}
