/** The environment of the operator, parsed once at start. */
import { parseConfig, vars, z } from '@flashsale/platform/config';

const SHAPE = {
  REDIS_URL: vars.REDIS_URL,
  KAFKA_BROKERS: vars.KAFKA_BROKERS,
  /** Where orders answers the ledger's internal calls. */
  ORDERS_URL: z.url(),
  /** Who starts and stops the workloads. */
  SUPERVISOR_URL: z.url(),
  /** The folder of FlashSale documents. */
  RESOURCES_DIR: z.string().min(1),
};

export function readConfig(env: NodeJS.ProcessEnv) {
  return parseConfig(SHAPE, env);
}
