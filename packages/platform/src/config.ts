/** Configuration from the environment: one schema a service, parsed once; errors name the variable, never its value. */
import { z } from 'zod';

export { z };

/** What is wrong with the environment, by variable. Holds no values, so it may be logged. */
export class ConfigError extends Error {
  readonly variables: readonly string[];
  constructor(problems: ReadonlyMap<string, string>) {
    super(`Configuration: ${[...problems].map(([name, problem]) => `${name}: ${problem}`).join('; ')}`);
    this.name = 'ConfigError';
    this.variables = [...problems.keys()];
  }
}

/**
 * Parses the variables that `shape` names and nothing else. An empty variable counts as absent, because
 * a chart that leaves a value out often renders it as an empty string. Throws ConfigError with every problem at once.
 */
export function parseConfig<S extends z.ZodRawShape>(
  shape: S,
  env: NodeJS.ProcessEnv = process.env,
): z.infer<z.ZodObject<S>> {
  const present = Object.fromEntries(Object.entries(env).filter(([name, value]) => name in shape && value !== ''));
  const parsed = z.object(shape).safeParse(present);
  if (parsed.success) return parsed.data;
  const problems = new Map<string, string>();
  for (const issue of parsed.error.issues) {
    const name = String(issue.path[0]);
    problems.set(name, describe(name, issue.message, present[name]));
  }
  throw new ConfigError(problems);
}

/** The issue in words without the value, whatever message a schema brings. */
function describe(name: string, message: string, value: string | undefined): string {
  if (value === undefined) return `${name} is missing`;
  return message.includes(value) ? 'is not valid' : message;
}

const port = z
  .string()
  .regex(/^\d{1,5}$/, 'must be a port number, 0 to 65535')
  .transform(Number)
  .refine((value) => value <= 65_535, 'must be a port number, 0 to 65535');

/** Variables that several services share. Spread what a service needs: `{ PORT: vars.PORT, … }`. */
export const vars = {
  /** Port of the service; 0 picks a free one, which the ready line tells. */
  PORT: port,
  /** Port of `/livez`, `/readyz`, `/metrics`. */
  ADMIN_PORT: port.default(0),
  /** Address that both ports listen on; `0.0.0.0` in a container. */
  HOST: z.union([z.ipv4('must be an IP address'), z.ipv6('must be an IP address')]).default('127.0.0.1'),
  REDIS_URL: z
    .string()
    .regex(
      /^(rediss?|redis-cluster):\/\/\S+$/,
      'must be redis://host:port[/db] or redis-cluster://host:port,host:port',
    ),
  KAFKA_BROKERS: z
    .string()
    .regex(/^[^\s,:]+:\d{1,5}(,[^\s,:]+:\d{1,5})*$/, 'must be host:port, separated by commas without spaces'),
  DATABASE_URL: z.string().regex(/^postgres(ql)?:\/\/\S+$/, 'must be a postgresql:// URL'),
  OIDC_ISSUER: z.string().regex(/^https?:\/\/\S+$/, 'must be an http or https URL'),
  OIDC_AUDIENCE: z.string().default('flashsale'),
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
} as const;
