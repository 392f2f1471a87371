/** Redis, Kafka and PostgreSQL of the platform: servers of its own, or those the environment names. */
import { join } from 'node:path';
import { ensureKafka, startKafka } from '../servers/kafka.ts';
import { ensurePostgres, startPostgres } from '../servers/postgres.ts';
import { ensureRedis, startRedis } from '../servers/redis.ts';
import type { Infra } from './plan.ts';
import type { Ports } from './ports-file.ts';
import type { Launched } from './supervised.ts';

export interface InfraPlan {
  readonly name: string;
  readonly launch: () => Promise<Launched>;
}

/** Where the servers are, or will be. */
export function infraAddresses(ports: Ports, env: NodeJS.ProcessEnv): Infra {
  return {
    redisUrl: env['FLASHSALE_REDIS_URL'] ?? `redis://127.0.0.1:${ports['redis'] ?? 0}`,
    kafkaBrokers: env['FLASHSALE_KAFKA_BROKERS'] ?? `127.0.0.1:${ports['kafka'] ?? 0}`,
    postgresUrl: env['FLASHSALE_POSTGRES_URL'] ?? `postgres://flashsale@127.0.0.1:${ports['postgres'] ?? 0}/postgres`,
  };
}

/** Installs what is missing, so that the starts themselves are quick. One after the other: the messages stay readable. */
export async function ensureInfra(env: NodeJS.ProcessEnv): Promise<void> {
  if (env['FLASHSALE_REDIS_URL'] === undefined) await ensureRedis();
  if (env['FLASHSALE_POSTGRES_URL'] === undefined) await ensurePostgres();
  if (env['FLASHSALE_KAFKA_BROKERS'] === undefined) await ensureKafka();
}

/** The servers to start and to keep alive. */
export function infraPlans(dataDir: string, ports: Ports, env: NodeJS.ProcessEnv): InfraPlan[] {
  const at = (name: string): { dataDir: string; port: number; logFile: string } => ({
    dataDir: join(dataDir, name),
    port: ports[name] ?? 0,
    logFile: join(dataDir, 'logs', `${name}.log`),
  });
  const controllerPort = ports['kafka-controller'] ?? 0;
  const all = [
    { name: 'redis', external: env['FLASHSALE_REDIS_URL'], launch: () => startRedis(at('redis')) },
    { name: 'postgres', external: env['FLASHSALE_POSTGRES_URL'], launch: () => startPostgres(at('postgres')) },
    {
      name: 'kafka',
      external: env['FLASHSALE_KAFKA_BROKERS'],
      launch: () => startKafka({ ...at('kafka'), controllerPort }),
    },
  ];
  return all.filter(({ external }) => external === undefined);
}
