/** A tiny OpenID issuer for tests and benchmarks: discovery, one RS256 key, access tokens for made-up buyers. */
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';

const AUDIENCE = 'flashsale';
const KEY_ID = 'test';
const LIFETIME_S = 3_600;
const signAsync = promisify(sign);

export interface TestIssuer {
  readonly issuer: string;
  readonly audience: string;
  /** An access token of `buyer-<n>` with account number n. */
  token(n: number): Promise<string>;
  stop(): Promise<void>;
}

export async function startTestIssuer(): Promise<TestIssuer> {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
  const server = createServer();
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid: KEY_ID, use: 'sig', alg: 'RS256' };
  let issuer = '';
  server.on('request', (req, res) => {
    res.setHeader('Content-Type', 'application/json');
    if (req.url === '/jwks') res.end(JSON.stringify({ keys: [jwk] }));
    else res.end(JSON.stringify({ issuer, jwks_uri: `${issuer}/jwks` }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    issuer,
    audience: AUDIENCE,
    token: (n) => signToken(privateKey, issuer, n),
    stop: () => stop(server),
  };
}

async function signToken(key: KeyObject, iss: string, n: number): Promise<string> {
  const iat = Math.floor(Date.now() / 1_000);
  const claims = { iss, aud: AUDIENCE, sub: `buyer-${n}`, num: n, roles: [], iat, exp: iat + LIFETIME_S };
  const input = `${encode({ alg: 'RS256', typ: 'at+jwt', kid: KEY_ID })}.${encode(claims)}`;
  const signature = await signAsync('sha256', Buffer.from(input), key);
  return `${input}.${signature.toString('base64url')}`;
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

async function stop(server: Server): Promise<void> {
  server.close();
  server.closeAllConnections();
  if (server.listening) await once(server, 'close');
}
