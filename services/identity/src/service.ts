/** Builds the identity service from its configuration: database, keys, provider, server. */
import { fileURLToPath } from 'node:url';
import { ensureDatabase, migrate, openDatabase } from '@flashsale/platform/database';
import { httpPart, type HttpPart } from '@flashsale/platform/http';
import type { Logger } from '@flashsale/platform/log';
import { loop, type Part } from '@flashsale/platform/run';
import { createAccounts } from './accounts.ts';
import { createIdentityApp } from './app.ts';
import type { IdentityConfig } from './config.ts';
import { PrismaClient } from './generated/prisma/client.ts';
import { createPasswords } from './passwords.ts';
import { createProvider } from './provider.ts';
import { removeExpired } from './records.ts';
import { loadSecrets } from './secrets.ts';

export const MIGRATIONS = fileURLToPath(new URL('../prisma/migrations', import.meta.url));
/** Expired records go in steps of this size, so that no statement holds many locks. */
const CLEANUP_BATCH = 500;
/** Batches of one clean-up; the rest waits for the next one. */
const CLEANUP_BATCHES = 20;
const CLEANUP_EVERY_MS = 60_000;

/** Migrates the database and reads the keys before it returns. Start the parts in their order. */
export async function identityService(
  config: IdentityConfig,
  log: Logger,
): Promise<{ parts: readonly Part[]; http: HttpPart }> {
  await ensureDatabase(config.DATABASE_URL);
  await migrate(config.DATABASE_URL, MIGRATIONS, log);
  const database = openDatabase(PrismaClient, config.DATABASE_URL);
  const [passwords, secrets] = await Promise.all([createPasswords(), loadSecrets(database)]);
  const accounts = createAccounts(database, passwords);
  const { OIDC_ISSUER: issuer, OIDC_AUDIENCE: audience, OIDC_REDIRECT_URIS: redirectUris } = config;
  const provider = createProvider({ issuer, audience, redirectUris, accounts, database, secrets });
  provider.on('server_error', (_ctx, error) => {
    log.error({ err: error }, 'the OpenID provider failed');
  });
  const app = createIdentityApp({
    log,
    issuer,
    redirectUris,
    accounts,
    provider,
    ...(config.TEST_BUYERS && { testBuyers: { issuer, audience, key: secrets.signing } }),
  });
  const http = httpPart({ app, port: config.PORT, log });
  const cleanup = loop('expired records', log, CLEANUP_EVERY_MS, async (signal) => {
    for (let batch = 0; batch < CLEANUP_BATCHES && !signal.aborted; batch++) {
      if ((await removeExpired(database, CLEANUP_BATCH)) < CLEANUP_BATCH) return;
    }
  });
  return { parts: [database, cleanup, http], http };
}
