/** The routes of the identity service: registration, the provider with its login, and test buyers' tokens. */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { z } from '@flashsale/platform/config';
import { createApp, finishApp, parseInput, type Express, type RequestHandler } from '@flashsale/platform/http';
import type { Logger } from '@flashsale/platform/log';
import type { Provider } from 'oidc-provider';
import type { Accounts } from './accounts.ts';
import { credentials } from './credentials.ts';
import { loginRoutes } from './login.ts';
import { mountPath } from './provider.ts';
import { MAX_TEST_BUYER, testTokens, type TestTokenOptions } from './test-tokens.ts';

export interface IdentityAppOptions {
  readonly log: Logger;
  readonly issuer: string;
  readonly redirectUris: readonly string[];
  readonly accounts: Accounts;
  readonly provider: Provider;
  /** Absent: there are no test buyers. */
  readonly testBuyers?: TestTokenOptions;
}

export function createIdentityApp(options: IdentityAppOptions): Express {
  const { accounts, provider, log } = options;
  const mount = mountPath(options.issuer);
  const app = createApp(log);
  app.post('/api/v1/auth/register', register(accounts));
  if (options.testBuyers) app.post('/internal/test-tokens', handOutTestTokens(options.testBuyers));
  const base = mount === '' ? '/' : mount;
  app.use(base, loginRoutes({ provider, accounts, mount, redirectUris: options.redirectUris }));
  const callback = provider.callback();
  // The provider reads forms itself, from the stream.
  app.use(base, (req, res) => callback(req, res));
  finishApp(app, log);
  return app;
}

function register(accounts: Accounts): RequestHandler {
  return async (req, res) => {
    const { email, password } = parseInput(credentials, req.body ?? {});
    const account = await accounts.register(email, password);
    res.status(201).json({ id: account.id, email: account.email });
  };
}

const tokenRequest = z
  .object({
    count: z.int().min(1).max(MAX_TEST_BUYER),
    from: z.int().min(1).max(MAX_TEST_BUYER).default(1),
  })
  .refine(({ count, from }) => from + count - 1 <= MAX_TEST_BUYER, {
    path: ['count'],
    message: `test buyers have the numbers 1 to ${MAX_TEST_BUYER}`,
  });

function handOutTestTokens(options: TestTokenOptions): RequestHandler {
  return async (req, res) => {
    const { from, count } = parseInput(tokenRequest, req.body ?? {});
    res.type('text/plain');
    // One write for many tokens would be cheaper, but a pipe keeps the memory bounded where the reader is slow.
    await pipeline(Readable.from(testTokens(options, from, count)), res);
  };
}
