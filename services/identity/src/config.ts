/** What the identity service reads from its environment. */
import { parseConfig, vars, z } from '@flashsale/platform/config';

const shape = {
  PORT: vars.PORT,
  DATABASE_URL: vars.DATABASE_URL,
  OIDC_ISSUER: vars.OIDC_ISSUER,
  OIDC_AUDIENCE: vars.OIDC_AUDIENCE,
  /** Where the storefront may be sent back to after a login, separated by commas; exact. */
  OIDC_REDIRECT_URIS: z
    .string()
    .default('http://127.0.0.1:8080/auth/callback')
    .transform((text) => text.split(',').map((uri) => uri.trim()))
    .pipe(z.array(z.url()).min(1)),
  /** `true`: hands out tokens of test buyers on /internal/test-tokens. */
  TEST_BUYERS: z
    .enum(['true', 'false'])
    .default('false')
    .transform((text) => text === 'true'),
};

export type IdentityConfig = ReturnType<typeof readConfig>;

/** Throws ConfigError, which names the variable. */
export function readConfig(env?: NodeJS.ProcessEnv) {
  return parseConfig(shape, env);
}
