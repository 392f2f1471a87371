/** Access tokens: signature, issuer, audience, times and type checked by the keys of an OpenID provider. */
import { MAX_BUYER, SaleError, type Buyer } from '@flashsale/sale';
import { type Check, createCheck, headerOf, TokenRefused } from './oidc-check.ts';
import { IssuerKeys } from './oidc-keys.ts';

export interface Identity {
  readonly buyer: Buyer;
  readonly roles: readonly string[];
  /** Unix ms. */
  readonly expiresAt: number;
}

export interface TokenVerifier {
  /**
   * The token's holder; at once where the token or its key is known, else a promise.
   * Throws SaleError('unauthenticated') for a token that is not valid, 'try_again_later' where the keys cannot be had.
   */
  verify(token: string): Identity | Promise<Identity>;
  /** Fetches the keys ahead of the first token. Throws SaleError('try_again_later'). */
  warm(): Promise<void>;
}

/** Clocks of two servers may differ by so much, in ms. */
const CLOCK_TOLERANCE_MS = 5_000;
/** Verified tokens remembered; about 1 KB each. The oldest gives way. */
const REMEMBERED = 100_000;
/** By so many of a token's last characters, its signature's, it is looked up: hashing all of it would cost 1 µs. */
const TAIL = 32;
/** Longest token looked at, in characters. */
const MAX_TOKEN = 8_192;
/** Asymmetric algorithms only: with HMAC or none, whoever knows the public key could sign. */
const SUPPORTED = new Set(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512']);

/** A verifier for one issuer and audience. `algorithms` (RS256 and ES256) is the whole list of what is accepted. */
export function createTokenVerifier(options: {
  issuer: string;
  audience: string;
  algorithms?: readonly string[];
}): TokenVerifier {
  const { issuer, audience, algorithms = ['RS256', 'ES256'] } = options;
  for (const alg of algorithms)
    if (!SUPPORTED.has(alg)) throw new Error(`${alg} is not an algorithm to verify tokens with`);
  const keys = new IssuerKeys(issuer, algorithms, (key, allowed) =>
    createCheck(key, { algorithms: allowed, issuer, audience, toleranceMs: CLOCK_TOLERANCE_MS }),
  );
  /** By the end of the token, each with the whole of it: only that is what was verified. */
  const remembered = new Map<string, { readonly token: string; readonly identity: Identity }>();

  const verifyWith = (check: Check | undefined, token: string): Identity => {
    if (!check) throw refused('Its key is not known.');
    const identity = identityFrom(refusing(() => check(token)));
    if (remembered.size >= REMEMBERED) remembered.delete(remembered.keys().next().value as string);
    remembered.set(token.slice(-TAIL), { token, identity });
    return identity;
  };
  return {
    verify: (token) => {
      const tail = token.slice(-TAIL);
      const known = remembered.get(tail);
      if (known?.token === token) {
        if (known.identity.expiresAt > Date.now()) return known.identity;
        remembered.delete(tail);
      }
      const kid = keyIdOf(token);
      const check = keys.check(kid);
      if (check) return verifyWith(check, token);
      return keys.load().then(() => verifyWith(keys.check(kid), token));
    },
    warm: () => keys.load(),
  };
}

/** The token of an `Authorization: Bearer …` header (RFC 6750). Throws SaleError('unauthenticated'). */
export function bearerToken(header: string | undefined): string {
  if (header === undefined) throw new SaleError('unauthenticated', 'Send an access token: Authorization: Bearer …');
  if (header.length < 8 || !(header.startsWith('Bearer ') || header.slice(0, 7).toLowerCase() === 'bearer ')) {
    throw new SaleError('unauthenticated', 'The Authorization header must be: Bearer and a token.');
  }
  return header.slice(7).trim();
}

function refused(why: string): SaleError {
  return new SaleError('unauthenticated', `The access token was refused. ${why}`);
}

/** Checks type and key id of the header, unverified as it is: they only choose how to verify. */
function keyIdOf(token: string): string | undefined {
  if (token.length > MAX_TOKEN) throw refused('It is too long.');
  const { typ, kid } = refusing(() => headerOf(token));
  // RFC 9068 section 4 wants at+jwt; Keycloak sends JWT.
  if (typ !== 'at+jwt' && !isAccessType(typ)) throw refused('Its type is not that of an access token.');
  return typeof kid === 'string' ? kid : undefined;
}

function isAccessType(typ: unknown): boolean {
  const type = typeof typ === 'string' ? typ.toLowerCase().replace(/^application\//, '') : undefined;
  return type === 'at+jwt' || type === 'jwt';
}

function refusing<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof TokenRefused ? refused(error.message) : error;
  }
}

/** What Keycloak calls the kind of a token in its own `typ` claim; its ID and refresh tokens have the header type JWT too. */
const KEYCLOAK_ACCESS = 'Bearer';

function identityFrom(claims: Record<string, unknown>): Identity {
  const { sub, num, exp, typ, roles, realm_access } = claims;
  if (typ !== undefined && typ !== KEYCLOAK_ACCESS) throw refused('It is not an access token.');
  if (typeof sub !== 'string' || sub === '') throw refused('It names no subject.');
  if (!isStorable(sub)) throw refused('Its subject is too long, or has control characters.');
  const ofRealm = (realm_access as { roles?: unknown } | null | undefined)?.roles;
  const buyer = Number.isSafeInteger(num) && (num as number) >= 0 ? { id: sub, number: num as number } : { id: sub };
  return { buyer, roles: strings(roles).concat(strings(ofRealm)), expiresAt: (exp as number) * 1_000 };
}

/** What Redis, Kafka and PostgreSQL keep as it is. OpenID Connect has 255 ASCII characters at most. */
function isStorable(sub: string): boolean {
  return sub.length <= MAX_BUYER && sub.isWellFormed() && !/[\0-\x1f\x7f]/.test(sub);
}

const NONE: readonly string[] = [];

function strings(value: unknown): readonly string[] {
  if (!Array.isArray(value) || value.length === 0) return NONE;
  return value.filter((item) => typeof item === 'string');
}
