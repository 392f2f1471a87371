/** The whole service on a real database: register, sign in through the page, tokens, refresh, restart. */
import assert from 'node:assert/strict';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { freePort, testDatabase } from '@flashsale/local/testing';
import { createLogger } from '@flashsale/platform/log';
import { createTokenVerifier } from '@flashsale/platform/oidc';
import type { Part } from '@flashsale/platform/run';
import { readConfig } from './config.ts';
import { identityService } from './service.ts';

const REDIRECT = 'http://127.0.0.1:9/auth/callback';
const log = createLogger('identity-test', 'silent');
let base = '';
let issuer = '';
let parts: readonly Part[] = [];
let databaseUrl = '';

async function start(): Promise<void> {
  const config = readConfig({
    PORT: new URL(base).port,
    DATABASE_URL: databaseUrl,
    OIDC_ISSUER: issuer,
    OIDC_REDIRECT_URIS: REDIRECT,
    TEST_BUYERS: 'true',
  });
  ({ parts } = await identityService(config, log));
  for (const part of parts) await part.start?.();
}

async function stop(): Promise<void> {
  for (const part of parts.toReversed()) await part.drain?.();
  for (const part of parts.toReversed()) await part.stop?.();
}

before(async () => {
  base = `http://127.0.0.1:${await freePort()}`;
  issuer = `${base}/oidc`;
  databaseUrl = await testDatabase();
  await start();
});
after(stop);

const newEmail = (): string => `Buyer.${randomUUID()}@Example.com`;
const PASSWORD = 'correct horse battery';

function register(email: string, password = PASSWORD): Promise<Response> {
  return fetch(`${base}/api/v1/auth/register`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ email, password }),
  });
}

/** A browser as far as the flow needs one: follows by hand, keeps cookies. */
class Browser {
  readonly #cookies = new Map<string, string>();
  async go(url: string, init: RequestInit = {}): Promise<Response> {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(new URL(url, base), {
      ...init,
      redirect: 'manual',
      headers: { Cookie: cookie },
    });
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line) as unknown as [string, string, string];
      if (value === '') this.#cookies.delete(name);
      else this.#cookies.set(name, value);
    }
    return response;
  }
  /** Follows redirects until an answer that is none, or one that leaves for the storefront. */
  async follow(response: Response): Promise<Response> {
    let current = response;
    for (let hops = 0; hops < 8; hops++) {
      const location = current.headers.get('location');
      if (location === null || location.startsWith(REDIRECT)) return current;
      current = await this.go(location);
    }
    throw new Error('too many redirects');
  }
  submit(action: string, fields: Record<string, string>): Promise<Response> {
    return this.go(action, { method: 'POST', body: new URLSearchParams(fields) });
  }
}

interface Tokens {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly id_token: string;
}

const verifierSecret = randomBytes(32).toString('base64url');

function authorizeUrl(extra: Record<string, string> = {}): string {
  const challenge = createHash('sha256').update(verifierSecret).digest('base64url');
  const query = new URLSearchParams({
    client_id: 'storefront',
    response_type: 'code',
    redirect_uri: REDIRECT,
    scope: 'openid email',
    state: 'abc',
    code_challenge: challenge,
    code_challenge_method: 'S256',
    ...extra,
  });
  return `${issuer}/auth?${query.toString()}`;
}

async function openLogin(browser: Browser): Promise<string> {
  const page = await browser.follow(await browser.go(authorizeUrl()));
  const html = await page.text();
  assert.equal(page.status, 200, html);
  for (const id of ['email', 'password']) assert.match(html, new RegExp(`<label for="${id}">`));
  return /action="([^"]+)"/.exec(html)?.[1] as string;
}

async function codeAfter(browser: Browser, response: Response): Promise<string> {
  const end = await browser.follow(response);
  const location = new URL(end.headers.get('location') ?? 'missing:');
  assert.equal(location.searchParams.get('state'), 'abc', location.href);
  return location.searchParams.get('code') as string;
}

function token(fields: Record<string, string>): Promise<Response> {
  return fetch(`${issuer}/token`, {
    method: 'POST',
    body: new URLSearchParams({ client_id: 'storefront', ...fields }),
  });
}
const exchange = (code: string): Promise<Response> =>
  token({ grant_type: 'authorization_code', code, redirect_uri: REDIRECT, code_verifier: verifierSecret });

async function signIn(email: string, act = 'login'): Promise<Tokens> {
  const browser = new Browser();
  const action = await openLogin(browser);
  const code = await codeAfter(browser, await browser.submit(action, { email, password: PASSWORD, act }));
  const response = await exchange(code);
  assert.equal(response.status, 200);
  return (await response.json()) as Tokens;
}

test('registers an account once, whatever the case of its e-mail', async () => {
  const email = newEmail();
  const first = await register(email);
  assert.equal(first.status, 201);
  const account = (await first.json()) as { id: string; email: string };
  assert.equal(account.email, email.toLowerCase());
  assert.match(account.id, /^[0-9a-f-]{36}$/);
  const second = await register(email.toUpperCase());
  assert.equal(second.status, 409);
  assert.equal(((await second.json()) as { code: string }).code, 'email_taken');
});

test('of many registrations of one e-mail at the same time exactly one wins', async () => {
  const email = newEmail();
  const answers = await Promise.all(Array.from({ length: 5 }, () => register(email)));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [201, 409, 409, 409, 409]);
});

test('refuses a registration and names each field', async () => {
  const response = await register('not an address', 'short');
  assert.equal(response.status, 400);
  const problem = (await response.json()) as { code: string; errors: { field: string }[] };
  assert.equal(problem.code, 'invalid_request');
  assert.deepEqual(problem.errors.map(({ field }) => field).sort(), ['email', 'password']);
});

test('publishes discovery and keys without their private parts', async () => {
  const discovery = (await (await fetch(`${issuer}/.well-known/openid-configuration`)).json()) as Record<
    string,
    unknown
  >;
  assert.equal(discovery['issuer'], issuer);
  assert.equal(discovery['token_endpoint'], `${issuer}/token`);
  assert.deepEqual(discovery['code_challenge_methods_supported'], ['S256']);
  const jwks = (await (await fetch(discovery['jwks_uri'] as string)).json()) as { keys: Record<string, string>[] };
  assert.equal(jwks.keys.length, 1);
  assert.equal(jwks.keys[0]?.['alg'], 'RS256');
  assert.equal(jwks.keys[0]['d'], undefined);
});

test('behind the edge, the provider speaks with the address the browser sees', async () => {
  const response = await fetch(`${issuer}/.well-known/openid-configuration`, {
    headers: { 'X-Forwarded-Host': 'shop.example', 'X-Forwarded-Proto': 'https' },
  });
  const discovery = (await response.json()) as Record<string, string>;
  assert.equal(discovery['authorization_endpoint'], 'https://shop.example/oidc/auth');
});

test('code and PKCE through the page give a token that the services accept', async () => {
  const email = newEmail();
  const { id } = (await (await register(email)).json()) as { id: string };
  const tokens = await signIn(email);
  const verifier = createTokenVerifier({ issuer, audience: 'flashsale' });
  const identity = await verifier.verify(tokens.access_token);
  assert.equal(identity.buyer.id, id);
  assert.ok((identity.buyer.number as number) > 1_000_000);
  assert.deepEqual(identity.roles, []);
  const header = JSON.parse(Buffer.from(tokens.access_token.split('.')[0] as string, 'base64url').toString()) as object;
  assert.deepEqual({ ...header, kid: undefined }, { alg: 'RS256', typ: 'at+jwt', kid: undefined });
});

test('an account can be created on the page', async () => {
  const tokens = await signIn(newEmail(), 'register');
  assert.ok(tokens.id_token);
});

test('account numbers are dense', async () => {
  const numbers: number[] = [];
  for (let i = 0; i < 2; i++) {
    const email = newEmail();
    await register(email);
    assert.equal((await register(email)).status, 409);
    const verifier = createTokenVerifier({ issuer, audience: 'flashsale' });
    numbers.push((await verifier.verify((await signIn(email)).access_token)).buyer.number as number);
  }
  assert.equal((numbers[1] as number) - (numbers[0] as number), 1);
});

test('a wrong password, a code without its verifier and a stranger redirect are refused', async () => {
  const email = newEmail();
  await register(email);
  const browser = new Browser();
  const action = await openLogin(browser);
  const wrong = await browser.submit(action, { email, password: 'not the password', act: 'login' });
  assert.equal(wrong.status, 401);
  assert.match(await wrong.text(), /role="alert"/);
  const code = await codeAfter(browser, await browser.submit(action, { email, password: PASSWORD, act: 'login' }));
  const stolen = await token({
    grant_type: 'authorization_code',
    code,
    redirect_uri: REDIRECT,
    code_verifier: randomBytes(32).toString('base64url'),
  });
  assert.equal(stolen.status, 400);
  const stranger = await fetch(authorizeUrl({ redirect_uri: 'http://evil.example/' }), { redirect: 'manual' });
  assert.equal(stranger.status, 400);
  const withoutPkce = await fetch(authorizeUrl({ code_challenge: '' }), { redirect: 'manual' });
  assert.match(withoutPkce.headers.get('location') ?? '', /error=invalid_request/);
});

test('after many wrong passwords even the right one has to wait', async () => {
  const email = newEmail();
  await register(email);
  const browser = new Browser();
  const action = await openLogin(browser);
  for (let i = 0; i < 10; i++) {
    const wrong = await browser.submit(action, { email, password: `wrong-password-${i}`, act: 'login' });
    assert.equal(wrong.status, 401);
  }
  assert.equal((await browser.submit(action, { email, password: PASSWORD, act: 'login' })).status, 429);
});

test('what a person typed comes back as text, never as markup', async () => {
  const browser = new Browser();
  const action = await openLogin(browser);
  const page = await browser.submit(action, { email: '"><script>alert(1)</script>', password: PASSWORD, act: 'login' });
  assert.ok(!(await page.text()).includes('<script>'));
  assert.match(page.headers.get('content-security-policy') ?? '', /default-src 'none'/);
});

test('a login without its cookie is over, not broken', async () => {
  const action = await openLogin(new Browser());
  const page = await new Browser().submit(action, { email: 'a@example.com', password: PASSWORD });
  assert.equal(page.status, 400);
  assert.match(await page.text(), /try again/);
});

test('refresh rotates; a refresh token used twice ends them all', async () => {
  const email = newEmail();
  await register(email);
  const first = await signIn(email);
  const refresh = (refresh_token: string): Promise<Response> => token({ grant_type: 'refresh_token', refresh_token });
  const answer = await refresh(first.refresh_token);
  assert.equal(answer.status, 200);
  const second = (await answer.json()) as Tokens;
  assert.notEqual(second.refresh_token, first.refresh_token);
  const identity = await createTokenVerifier({ issuer, audience: 'flashsale' }).verify(second.access_token);
  assert.ok(identity.buyer.number);
  assert.equal((await refresh(first.refresh_token)).status, 400);
  assert.equal((await refresh(second.refresh_token)).status, 400);
});

test('a code is spent once, also by two requests at the same time', async () => {
  const email = newEmail();
  await register(email);
  const browser = new Browser();
  const action = await openLogin(browser);
  const code = await codeAfter(browser, await browser.submit(action, { email, password: PASSWORD, act: 'login' }));
  const statuses = (await Promise.all([exchange(code), exchange(code)])).map(({ status }) => status).sort();
  assert.ok(statuses.filter((status) => status === 200).length <= 1, statuses.join());
  assert.ok(statuses.includes(400));
});

test('test buyers: numbered tokens in order, which the services accept', async () => {
  const post = (body: unknown): Promise<Response> =>
    fetch(`${base}/internal/test-tokens`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    });
  const lines = (await (await post({ count: 100, from: 7 })).text()).trim().split('\n');
  const verifier = createTokenVerifier({ issuer, audience: 'flashsale' });
  const buyers = [];
  for (const line of lines) buyers.push((await verifier.verify(line)).buyer);
  assert.deepEqual(
    buyers,
    Array.from({ length: 100 }, (_, i) => ({ id: `buyer-${i + 7}`, number: i + 7 })),
  );
  assert.equal((await post({ count: 0 })).status, 400);
  assert.equal((await post({ count: 2, from: 1_000_000 })).status, 400);
});

test('tokens, sessions and refresh tokens outlive a restart', async () => {
  const email = newEmail();
  await register(email);
  const tokens = await signIn(email);
  await stop();
  await start();
  await createTokenVerifier({ issuer, audience: 'flashsale' }).verify(tokens.access_token);
  const answer = await token({ grant_type: 'refresh_token', refresh_token: tokens.refresh_token });
  assert.equal(answer.status, 200);
});
