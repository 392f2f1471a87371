/**
 * One token against one key: signature (RFC 7515), algorithms (RFC 7518), claims (RFC 7519).
 * On node:crypto with the key parsed once: a library that takes PEM parses the key for each token, half of the cost.
 */
import { constants, type KeyObject, verify, type VerifyKeyObjectInput, type VerifyPublicKeyInput } from 'node:crypto';

/** The claims of a token. Throws TokenRefused where it is not valid. */
export type Check = (token: string) => Record<string, unknown>;

/** The message is a sentence that the token's holder may read. */
export class TokenRefused extends Error {}

export interface Expected {
  readonly algorithms: readonly string[];
  readonly issuer: string;
  readonly audience: string;
  /** How far two clocks may differ, in ms. */
  readonly toleranceMs: number;
}

export function createCheck(key: KeyObject, expected: Expected): Check {
  const keys = new Map(expected.algorithms.map((algorithm) => [algorithm, verifyKey(key, algorithm)]));
  return (token) => {
    const { algorithm, input, payload, signature } = split(token);
    const how = keys.get(algorithm);
    if (!how) throw new TokenRefused('Its algorithm is not accepted.');
    if (signature.length === 0) throw new TokenRefused('It is not signed.');
    if (!verify(`sha${algorithm.slice(2)}`, input, how, signature))
      throw new TokenRefused('Its signature is not valid.');
    const claims = parseObject(payload);
    checkClaims(claims, expected);
    return claims;
  };
}

/** Headers seen last: the tokens that one key signs mostly share theirs to the letter. */
const headers = new Map<string, Readonly<Record<string, unknown>>>();
const HEADERS = 64;
/** A longer one is not worth the memory. In characters. */
const KEPT_HEADER = 512;
/** The one seen last with its full stop: most tokens begin with it, and comparing costs less than looking it up. */
let last: { readonly start: string; readonly header: Readonly<Record<string, unknown>> } | undefined;

/** The header of a token, unverified as it is. Throws TokenRefused where there is none. */
export function headerOf(token: string): Readonly<Record<string, unknown>> {
  if (last && token.startsWith(last.start)) return last.header;
  const segment = token.slice(0, Math.max(token.indexOf('.'), 0));
  const header = headers.get(segment) ?? parseObject(segment);
  if (segment.length > KEPT_HEADER) return header;
  // A copy: a slice would keep its whole token in memory.
  const copy = Buffer.from(segment).toString();
  if (!headers.has(copy)) {
    if (headers.size >= HEADERS) headers.clear();
    headers.set(copy, header);
  }
  last = { start: `${copy}.`, header };
  return header;
}

/** For RSASSA-PKCS1 the key as it is, which node:crypto checks quickest. */
function verifyKey(key: KeyObject, algorithm: string): KeyObject | VerifyKeyObjectInput | VerifyPublicKeyInput {
  if (algorithm.startsWith('ES')) return { key, dsaEncoding: 'ieee-p1363' };
  if (!algorithm.startsWith('PS')) return key;
  return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
}

interface Parts {
  readonly algorithm: string;
  /** Bytes that hold until the next token is taken apart. */
  readonly input: Buffer;
  readonly signature: Buffer;
  readonly payload: string;
}

/** RFC 7515 section 7.1. Decoding is more lenient: one token would have spellings without end, each remembered. */
const COMPACT = /^[\w-]+\.[\w-]*\.[\w-]*$/;

function split(token: string): Parts {
  if (!COMPACT.test(token)) throw new TokenRefused('It is not a JWT.');
  const first = token.indexOf('.');
  const second = token.indexOf('.', first + 1);
  const { alg, crit } = headerOf(token);
  // RFC 7515 section 4.1.11: what is marked critical and not understood makes a token invalid.
  if (typeof alg !== 'string' || crit !== undefined) throw new TokenRefused('Its algorithm is not accepted.');
  const spelled = token.slice(second + 1);
  const signature = signatureBytes.take(spelled, 'base64url');
  // Its last letter may have bits to spare.
  if (signature.toString('base64url') !== spelled) throw new TokenRefused('It is not a JWT.');
  return {
    algorithm: alg,
    input: inputBytes.take(token.slice(0, second), 'latin1'),
    signature,
    payload: token.slice(first + 1, second),
  };
}

/** Memory that is used for one token after another, since checking one is synchronous: no garbage for each. */
class Scratch {
  readonly #bytes: Buffer;
  /** What was handed out last: signatures of one key are all of one length. */
  #view: Buffer;

  constructor(size: number) {
    this.#bytes = Buffer.alloc(size);
    this.#view = this.#bytes;
  }

  take(text: string, encoding: 'latin1' | 'base64url'): Buffer {
    // Neither encoding has more bytes than characters.
    if (text.length > this.#bytes.length) return Buffer.from(text, encoding);
    const length = this.#bytes.write(text, encoding);
    if (length !== this.#view.length) this.#view = this.#bytes.subarray(0, length);
    return this.#view;
  }
}

const inputBytes = new Scratch(4_096);
const signatureBytes = new Scratch(1_024);
const payloadBytes = new Scratch(4_096);

function checkClaims({ iss, aud, exp, nbf }: Record<string, unknown>, expected: Expected): void {
  const now = Date.now();
  const isFor = Array.isArray(aud) ? aud.includes(expected.audience) : aud === expected.audience;
  if (iss !== expected.issuer || !isFor) throw new TokenRefused('It was issued by or for someone else.');
  if (typeof exp !== 'number' || !Number.isFinite(exp)) throw new TokenRefused('It has no end.');
  if (now >= exp * 1_000 + expected.toleranceMs) throw new TokenRefused('It has expired.');
  if (nbf === undefined) return;
  if (typeof nbf !== 'number' || now < nbf * 1_000 - expected.toleranceMs)
    throw new TokenRefused('It is not valid yet.');
}

function parseObject(segment: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(payloadBytes.take(segment, 'base64url').toString());
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Falls through: whatever is wrong with it, it is no token.
  }
  throw new TokenRefused('It is not a JWT.');
}
