/** Access tokens against a small real issuer over HTTP that signs with node:crypto: what is accepted and every forgery refused. */
import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync, randomUUID, sign as signBytes, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { after, afterEach, before, beforeEach, mock, test } from 'node:test';
import { SaleError, type ErrorCode } from '@flashsale/sale';
import fc from 'fast-check';
import { bearerToken, createTokenVerifier, type Identity } from './oidc.ts';
import { portOf } from './run-admin.ts';

type Claims = Record<string, unknown>;
interface Key {
  readonly kid: string;
  readonly alg: 'RS256' | 'ES256';
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}
function makeKey(kid: string, alg: Key['alg'] = 'RS256'): Key {
  const pair =
    alg === 'RS256'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { kid, alg, ...pair };
}
const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A provider with one document and one key set, which a test may break. */
const provider = {
  keys: [makeKey('first')],
  issuer: '',
  named: undefined as string | undefined,
  up: true,
  keyFetches: 0,
};
const server: Server = createServer((req, res) => {
  const answers: Record<string, unknown> = {
    '/.well-known/openid-configuration': {
      issuer: provider.named ?? provider.issuer,
      jwks_uri: `${provider.issuer}/jwks`,
    },
    '/jwks': {
      keys: provider.keys.map(({ kid, alg, publicKey }) => ({
        ...publicKey.export({ format: 'jwk' }),
        kid,
        alg,
        use: 'sig',
      })),
    },
  };
  if (req.url === '/jwks') provider.keyFetches += 1;
  const answer = provider.up ? answers[req.url ?? ''] : undefined;
  res.writeHead(answer === undefined ? 503 : 200, { connection: 'close' }).end(JSON.stringify(answer));
});
const first = provider.keys[0] as Key;

before(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  provider.issuer = `http://127.0.0.1:${portOf(server)}`;
});
after(() => server.close());
beforeEach(() => {
  mock.timers.enable({ apis: ['Date'], now: Date.parse('2026-12-01T10:00:00Z') });
  Object.assign(provider, { keys: [first], named: undefined, up: true, keyFetches: 0 });
});
afterEach(() => {
  mock.timers.reset();
});

const nowS = (): number => Math.floor(Date.now() / 1_000);
const good = (): Claims => ({
  iss: provider.issuer,
  aud: 'flashsale',
  sub: 'ann',
  num: 7,
  roles: ['staff'],
  exp: nowS() + 600,
});

function token(claims: Claims = {}, header: Claims = {}, key: Key = first): string {
  const input = `${encode({ alg: key.alg, typ: 'at+jwt', kid: key.kid, ...header })}.${encode({ ...good(), ...claims })}`;
  const secret = { key: key.privateKey, dsaEncoding: 'ieee-p1363' as const };
  return `${input}.${signBytes('sha256', Buffer.from(input), secret).toString('base64url')}`;
}
const verifier = (audience = 'flashsale'): ReturnType<typeof createTokenVerifier> =>
  createTokenVerifier({ issuer: provider.issuer, audience });
async function refused(code: ErrorCode, text: string, by = verifier()): Promise<void> {
  await assert.rejects(
    async () => by.verify(text),
    (error) => error instanceof SaleError && error.code === code,
  );
}

test('names the holder, his number, his roles and the end', async () => {
  const identity = await verifier().verify(token());
  assert.deepEqual(identity, {
    buyer: { id: 'ann', number: 7 },
    roles: ['staff'],
    expiresAt: (nowS() + 600) * 1_000,
  });
});

test('takes what Keycloak sends', async () => {
  const claims = {
    num: undefined,
    roles: undefined,
    realm_access: { roles: ['admin'] },
    typ: 'Bearer',
    aud: ['a', 'flashsale'],
  };
  const identity = await verifier().verify(token(claims, { typ: 'JWT' }));
  assert.deepEqual([identity.buyer, identity.roles], [{ id: 'ann' }, ['admin']]);
});

test('verifies ES256 and a token without key id where there is one key', async () => {
  const ec = makeKey('ec', 'ES256');
  provider.keys = [ec];
  assert.equal((await verifier().verify(token({}, {}, ec))).buyer.id, 'ann');
  assert.equal((await verifier().verify(token({}, { kid: undefined }, ec))).buyer.id, 'ann');
  provider.keys = [ec, first];
  await refused('unauthenticated', token({}, { kid: undefined }, ec));
});

test('a known token is answered at once until it expires', async () => {
  const it = verifier();
  const text = token({ exp: nowS() + 60 });
  assert.ok(it.verify(text) instanceof Promise);
  await it.verify(text);
  const known = it.verify(text) as Identity;
  assert.equal(known.buyer.id, 'ann');
  assert.equal(it.verify(text), known);
  mock.timers.tick(66_000);
  await refused('unauthenticated', text, it);
});

test('after warm() the first token of each buyer is answered at once, too', async () => {
  const it = verifier();
  await it.warm();
  assert.equal((it.verify(token()) as Identity).buyer.id, 'ann');
  assert.equal(provider.keyFetches, 1);
});

test('refuses wrong claims, types and times', async () => {
  const wrong: [string, Claims, Claims?][] = [
    ['issuer', { iss: 'http://evil.example' }],
    ['no issuer', { iss: undefined }],
    ['audience', { aud: 'other' }],
    ['no audience', { aud: undefined }],
    ['expired beyond the tolerance', { exp: nowS() - 6 }],
    ['no expiry', { exp: undefined }],
    ['expiry that is no number', { exp: '9999999999' }],
    ['not valid yet', { nbf: nowS() + 6 }],
    ['no subject', { sub: undefined }],
    ['empty subject', { sub: '' }],
    ['a subject that no index can hold', { sub: 'x'.repeat(256) }],
    ['a subject with a NUL', { sub: 'a\0b' }],
    ['a subject with half a character', { sub: 'a\ud800' }],
    ['type of the header', {}, { typ: 'dpop+jwt' }],
    ['no type', {}, { typ: undefined }],
    ["Keycloak's ID token", { typ: 'ID' }, { typ: 'JWT' }],
    ['critical extension', {}, { crit: ['exp'], exp: 1 }],
  ];
  const it = verifier();
  for (const [name, claims, header] of wrong) {
    await assert.doesNotReject(refused('unauthenticated', token(claims, header), it), name);
  }
});

test('clocks may differ by 5 seconds', async () => {
  assert.equal((await verifier().verify(token({ exp: nowS() - 4 }))).buyer.id, 'ann');
  assert.equal((await verifier().verify(token({ nbf: nowS() + 4 }))).buyer.id, 'ann');
});

test('refuses unsigned tokens and HMAC with the public key', async () => {
  const body = encode(good());
  const it = verifier();
  for (const alg of ['none', 'None', 'NONE']) {
    const input = `${encode({ alg, typ: 'at+jwt', kid: 'first' })}.${body}`;
    await refused('unauthenticated', `${input}.`, it);
    await refused('unauthenticated', `${input}.${token().split('.')[2]}`, it);
  }
  await refused('unauthenticated', token().replace(/[^.]+$/, ''), it);
  const input = `${encode({ alg: 'HS256', typ: 'at+jwt', kid: 'first' })}.${body}`;
  const { publicKey } = first;
  for (const secret of [
    publicKey.export({ type: 'spki', format: 'pem' }),
    publicKey.export({ type: 'spki', format: 'der' }),
  ]) {
    await refused('unauthenticated', `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`, it);
  }
});

test('refuses a forged signature, a changed payload, and another key under a known id', async () => {
  const it = verifier();
  const [header, body, signature] = token().split('.') as [string, string, string];
  await refused('unauthenticated', `${header}.${body}.${'A'.repeat(signature.length)}`, it);
  await refused('unauthenticated', `${header}.${encode({ ...good(), sub: 'eve' })}.${signature}`, it);
  await refused('unauthenticated', token({}, {}, makeKey('first')), it);
  await refused('unauthenticated', token({}, {}, makeKey('first', 'ES256')), it);
});

test('another text with the signature of a known token is not the known token', async () => {
  const it = verifier();
  const known = token();
  await it.verify(known);
  const [header, body, signature] = known.split('.') as [string, string, string];
  await refused('unauthenticated', `${header}.${encode({ ...good(), sub: 'eve' })}.${signature}`, it);
  await refused('unauthenticated', `${body}.${signature}`, it);
  await refused('unauthenticated', signature.slice(-32), it);
  assert.equal((await it.verify(known)).buyer.id, 'ann');
});

test('a token has one spelling', async () => {
  const text = token();
  const last = text.at(-1) ?? '';
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const sameBits = alphabet[alphabet.indexOf(last) ^ 1] ?? '';
  const wide = (from: number): string =>
    text.slice(0, from) + String.fromCharCode(text.charCodeAt(from) + 0x100) + text.slice(from + 1);
  const it = verifier();
  await it.verify(text);
  const signature = text.lastIndexOf('.') + 1;
  for (const other of [
    `${text}=`,
    `${text}!!`,
    text.slice(0, -1) + sameBits,
    wide(text.indexOf('.') + 9),
    wide(signature + 5),
    wide(4),
  ])
    await refused('unauthenticated', other, it);
});

test('no text of any form is accepted or breaks it', async () => {
  const it = verifier();
  await it.warm();
  const parts = fc.array(fc.oneof(fc.string(), fc.json().map(encode)), { maxLength: 4 });
  await fc.assert(fc.asyncProperty(parts, (pieces) => refused('unauthenticated', pieces.join('.'), it)));
  await refused('unauthenticated', 'x'.repeat(8_193), it);
});

test('a key in the set that is not for signing, or of another kind, verifies nothing', async () => {
  assert.throws(() => createTokenVerifier({ issuer: 'http://i', audience: 'a', algorithms: ['HS256'] }));
  assert.throws(() => createTokenVerifier({ issuer: 'http://i', audience: 'a', algorithms: ['none'] }));
  const onlyEc = createTokenVerifier({ issuer: provider.issuer, audience: 'flashsale', algorithms: ['ES256'] });
  await refused('unauthenticated', token(), onlyEc);
});

test('a rotated key is found; made-up key ids cause no flood of fetches', async () => {
  const it = verifier();
  await it.warm();
  const second = makeKey('second');
  provider.keys = [first, second];
  mock.timers.tick(5_000);
  const answers = await Promise.all(Array.from({ length: 20 }, async () => it.verify(token({}, {}, second))));
  assert.equal(answers.length, 20);
  assert.equal(provider.keyFetches, 2);
  for (let i = 0; i < 20; i++) await refused('unauthenticated', token({}, { kid: randomUUID() }), it);
  assert.equal(provider.keyFetches, 2);
  assert.equal((it.verify(token()) as Identity).buyer.id, 'ann');
});

test('a withdrawn key is forgotten after a while, without a wait for any caller', async () => {
  const it = verifier();
  await it.warm();
  const second = makeKey('second');
  provider.keys = [second];
  mock.timers.tick(600_001);
  const old = token();
  const asked = once(server, 'request');
  assert.equal((it.verify(old) as Identity).buyer.id, 'ann');
  await asked;
  // Shares the fetch that is under way.
  await it.warm();
  assert.equal((it.verify(token({}, {}, second)) as Identity).buyer.id, 'ann');
  await refused('unauthenticated', token({ sub: 'eve' }), it);
});

test('a provider that cannot be asked is try_again_later, never unauthenticated', async () => {
  provider.up = false;
  const it = verifier();
  await assert.rejects(it.warm(), (error) => error instanceof SaleError && error.code === 'try_again_later');
  await refused('try_again_later', token(), it);
  provider.up = true;
  mock.timers.tick(5_000);
  await it.verify(token());
  provider.up = false;
  mock.timers.tick(5_000);
  await refused('try_again_later', token({}, { kid: 'unknown' }), it);
  assert.equal((it.verify(token({ sub: 'bob' })) as Identity).buyer.id, 'bob');
});

test('a discovery document of another issuer is not believed', async () => {
  provider.named = 'http://evil.example';
  await refused('try_again_later', token());
});

test('the bearer token of a header', () => {
  assert.equal(bearerToken('Bearer a.b.c'), 'a.b.c');
  assert.equal(bearerToken('bearer a.b.c'), 'a.b.c');
  for (const bad of [undefined, '', 'Bearer', 'Bearer ', 'Basic abc']) {
    assert.throws(
      () => bearerToken(bad),
      (error) => error instanceof SaleError && error.code === 'unauthenticated',
    );
  }
});
