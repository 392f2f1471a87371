/** The provider's keys: made once, by whoever comes first, and kept in the database, so that tokens outlive a restart. */
import { createPrivateKey, generateKeyPair, randomBytes, createHash, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import type { PrismaClient } from './generated/prisma/client.ts';

export interface SigningKey {
  readonly kid: string;
  readonly privateKey: KeyObject;
  /** The private key as a JWK with kid, alg and use. */
  readonly jwk: Readonly<Record<string, string>>;
}

export interface Secrets {
  readonly signing: SigningKey;
  /** Keys that sign the provider's cookies; the first one signs. */
  readonly cookieKeys: readonly string[];
}

interface StoredSecrets {
  readonly jwk: Record<string, string>;
  readonly cookieKeys: string[];
}

const NAME = 'provider';

export async function loadSecrets(database: PrismaClient): Promise<Secrets> {
  const stored = (await read(database)) ?? (await make(database));
  const kid = stored.jwk['kid'];
  if (kid === undefined) throw new Error('the stored signing key has no kid');
  const privateKey = createPrivateKey({ key: stored.jwk, format: 'jwk' });
  return { signing: { kid, privateKey, jwk: stored.jwk }, cookieKeys: stored.cookieKeys };
}

async function read(database: PrismaClient): Promise<StoredSecrets | undefined> {
  const row = await database.secret.findUnique({ where: { name: NAME } });
  return row ? (row.value as unknown as StoredSecrets) : undefined;
}

/** Two processes may make keys at the same time: the first insert wins, and both read it. */
async function make(database: PrismaClient): Promise<StoredSecrets> {
  const { publicKey, privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 });
  const parts = publicKey.export({ format: 'jwk' });
  // RFC 7638: the thumbprint of the required members in this order.
  const thumbprint = JSON.stringify({ e: parts.e, kty: parts.kty, n: parts.n });
  const kid = createHash('sha256').update(thumbprint).digest('base64url');
  const jwk = { ...privateKey.export({ format: 'jwk' }), kid, alg: 'RS256', use: 'sig' } as Record<string, string>;
  const value = { jwk, cookieKeys: [randomBytes(32).toString('base64url')] };
  await database.secret.createMany({ data: [{ name: NAME, value }], skipDuplicates: true });
  const stored = await read(database);
  if (!stored) throw new Error('the signing key was written and is not there');
  return stored;
}
