/** Access tokens of test buyers `buyer-<n>`, signed with the provider's key off the event loop. */
import { randomUUID, sign } from 'node:crypto';
import { promisify } from 'node:util';
import { CLIENT_ID } from './provider.ts';
import type { SigningKey } from './secrets.ts';

const signAsync = promisify(sign);
/** Signatures under way at a time: enough to keep the thread pool busy, few enough to let logins through. */
const IN_FLIGHT = 32;
const LIFETIME_S = 2 * 60 * 60;
/** Account numbers up to this belong to test buyers; see the migration of accounts. */
export const MAX_TEST_BUYER = 1_000_000;

export interface TestTokenOptions {
  readonly issuer: string;
  readonly audience: string;
  readonly key: SigningKey;
}

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Yields `count` tokens, each with its line end, for buyers `from`, `from + 1`, …; valid for two hours. */
export async function* testTokens(options: TestTokenOptions, from: number, count: number): AsyncGenerator<string> {
  const header = encode({ alg: 'RS256', typ: 'at+jwt', kid: options.key.kid });
  const iat = Math.floor(Date.now() / 1000);
  const one = async (n: number): Promise<string> => {
    const payload = encode({
      iss: options.issuer,
      aud: options.audience,
      sub: `buyer-${n}`,
      num: n,
      roles: [],
      client_id: CLIENT_ID,
      jti: randomUUID(),
      iat,
      exp: iat + LIFETIME_S,
    });
    const input = `${header}.${payload}`;
    const signature = await signAsync('sha256', Buffer.from(input), options.key.privateKey);
    return `${input}.${signature.toString('base64url')}\n`;
  };
  // A sliding window, in order: a new signature starts as soon as the oldest is handed out.
  const window: Promise<string>[] = [];
  let next = from;
  const end = from + count;
  while (next < end || window.length > 0) {
    while (next < end && window.length < IN_FLIGHT) window.push(one(next++));
    yield await (window.shift() as Promise<string>);
  }
}
