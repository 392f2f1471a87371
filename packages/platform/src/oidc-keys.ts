/** The signing keys of an OpenID provider: found by discovery, kept in memory, fetched again when a new key shows up. */
import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { SaleError } from '@flashsale/sale';
import type { Check } from './oidc-check.ts';

/** A verifier for one key. */
export type MakeCheck = (key: KeyObject, algorithms: readonly string[]) => Check;

const FETCH_MS = 3_000;
/** Least time between two fetches, so that made-up key ids cannot make us flood the provider. */
const COOLDOWN_MS = 5_000;
/** Age at which keys are fetched anew in the background, so that a withdrawn key is forgotten. */
const MAX_AGE_MS = 600_000;

interface Jwk extends JsonWebKey {
  readonly kid?: string;
  readonly use?: string;
  readonly alg?: string;
}

/** The keys of one issuer. `check()` is synchronous for a known key id. */
export class IssuerKeys {
  readonly #issuer: string;
  readonly #algorithms: readonly string[];
  readonly #makeCheck: MakeCheck;
  #checks: ReadonlyMap<string, Check> = new Map();
  #jwksUri: string | undefined;
  #fetchedAt = -Infinity;
  #triedAt = -Infinity;
  #failure: unknown;
  #underWay: Promise<void> | undefined;

  constructor(issuer: string, algorithms: readonly string[], makeCheck: MakeCheck) {
    this.#issuer = issuer;
    this.#algorithms = algorithms;
    this.#makeCheck = makeCheck;
  }

  /** Undefined where the key is not known here (yet). A token without a key id fits only an issuer with one key. */
  check(kid: string | undefined): Check | undefined {
    if (Date.now() - this.#fetchedAt > MAX_AGE_MS && this.#checks.size > 0) void this.#refresh().catch(() => undefined);
    if (kid !== undefined) return this.#checks.get(kid);
    return this.#checks.size === 1 ? this.#checks.values().next().value : undefined;
  }

  /**
   * Fetches the keys, unless that was done a moment ago; callers at the same time share one fetch.
   * Throws SaleError('try_again_later') where the provider cannot be asked: that says nothing about any token.
   */
  async load(): Promise<void> {
    try {
      await this.#refresh();
    } catch (error) {
      const problem = new SaleError('try_again_later', 'The sign-in service cannot be reached.');
      problem.cause = error;
      throw problem;
    }
  }

  async #refresh(): Promise<void> {
    if (!this.#underWay) {
      if (Date.now() - this.#triedAt < COOLDOWN_MS) {
        if (this.#failure !== undefined) throw this.#failure as Error;
        return;
      }
      this.#underWay = this.#fetchKeys().finally(() => {
        this.#underWay = undefined;
      });
    }
    await this.#underWay;
  }

  async #fetchKeys(): Promise<void> {
    try {
      this.#jwksUri ??= await this.#discover();
      const { keys } = (await fetchJson(this.#jwksUri)) as { keys?: readonly Jwk[] };
      if (!Array.isArray(keys)) throw new Error('the JWKS has no keys');
      this.#checks = this.#checksOf(keys as readonly Jwk[]);
      this.#fetchedAt = Date.now();
      this.#failure = undefined;
    } catch (error) {
      // Ask for the address again next time: the provider may have moved it.
      this.#jwksUri = undefined;
      this.#failure = error;
      throw error;
    } finally {
      this.#triedAt = Date.now();
    }
  }

  /** OpenID Connect Discovery 1.0 section 4.3: the issuer in the document must be the very one that was asked. */
  async #discover(): Promise<string> {
    const address = `${this.#issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
    const { issuer, jwks_uri } = (await fetchJson(address)) as { issuer?: unknown; jwks_uri?: unknown };
    if (issuer !== this.#issuer) throw new Error('discovery names another issuer');
    if (typeof jwks_uri !== 'string') throw new Error('discovery names no jwks_uri');
    return jwks_uri;
  }

  #checksOf(keys: readonly Jwk[]): Map<string, Check> {
    const checks = new Map<string, Check>();
    for (const key of keys) {
      const algorithms = this.#algorithms.filter((alg) => fits(key, alg));
      if (algorithms.length === 0) continue;
      checks.set(key.kid ?? '', this.#makeCheck(createPublicKey({ key, format: 'jwk' }), algorithms));
    }
    return checks;
  }
}

/** The EC curve of each ECDSA algorithm (RFC 7518 section 3.4). */
const CURVES: Readonly<Record<string, string>> = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' };

/** Whether the key may verify signatures of this algorithm: its type decides, and `use` and `alg` where given. */
function fits(key: Jwk, algorithm: string): boolean {
  if (key.use !== undefined && key.use !== 'sig') return false;
  if (key.alg !== undefined && key.alg !== algorithm) return false;
  const curve = CURVES[algorithm];
  return curve === undefined ? key.kty === 'RSA' : key.kty === 'EC' && key.crv === curve;
}

async function fetchJson(address: string): Promise<unknown> {
  const response = await fetch(address, {
    signal: AbortSignal.timeout(FETCH_MS),
    headers: { accept: 'application/json' },
  });
  if (!response.ok) throw new Error(`${address} answered ${response.status}`);
  return response.json();
}
