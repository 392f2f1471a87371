/** The HTTP layer of every service over a real socket: problem documents, bodies, correlation ids, identities. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ERRORS, SaleError, type ErrorCode } from '@flashsale/sale';
import fc from 'fast-check';
import { z } from './config.ts';
import { DeadlineError } from './deadline.ts';
import {
  createApp,
  finishApp,
  httpPart,
  identityOf,
  parseInput,
  requireIdentity,
  Router,
  sendProblem,
} from './http.ts';
import { createLogger } from './log.ts';
import type { Identity, TokenVerifier } from './oidc.ts';

const log = createLogger('test', 'silent');
const ann: Identity = { buyer: { id: 'ann', number: 7 }, roles: ['staff'], expiresAt: Infinity };
/** Knows `now` at once and `later` by a promise. */
const verifier: TokenVerifier = {
  verify: (token) => {
    if (token === 'now') return ann;
    if (token === 'later') return Promise.resolve({ ...ann, roles: [] });
    throw new SaleError('unauthenticated', 'The access token was refused.');
  },
  warm: () => Promise.resolve(),
};

const app = createApp(log);
app.post('/echo', (req, res) => void res.json(parseInput(z.object({ sku: z.string(), quantity: z.int() }), req.body)));
app.put('/raw', (req, res) => {
  let text = '';
  req.on('data', (chunk: Buffer) => (text += chunk.toString()));
  req.on('end', () => res.end(text));
});
app.get('/who', requireIdentity(verifier), (_req, res) => void res.json(identityOf(res)));
app.get('/staff', requireIdentity(verifier, 'staff'), (_req, res) => void res.json(identityOf(res).buyer));
app.get('/fail/:code', (req) => {
  throw new SaleError(req.params.code as ErrorCode, 'why', req.params.code === 'sold_out' ? { held: 3 } : {});
});
app.get('/late', () => Promise.reject(new DeadlineError('redis', 5)));
app.get('/bug', () => Promise.reject(new Error('password=hunter2')));
app.get('/half', (_req, res) => {
  res.write('half');
  throw new Error('after the head');
});
app.get('/query', (req, res) => void res.json({ page: req.query['page'] }));
const nested = Router();
nested.get('/items/:id', (req, res) => void res.json(req.params));
nested.delete('/items/:id', (_req, res) => void res.sendStatus(204));
app.use('/shop', nested);
finishApp(app, log);
const part = httpPart({
  app,
  log,
  port: 0,
  hot: (req, res) => {
    if (req.url === '/hot-bug') throw new Error('hot');
    if (req.url !== '/hot') return false;
    sendProblem(res, new SaleError('sold_out', 'None left.'), '/hot');
    return true;
  },
});

before(() => part.start?.());
after(async () => {
  await part.drain?.();
  await part.stop?.();
});

const call = (path: string, init?: RequestInit): Promise<Response> =>
  fetch(`http://127.0.0.1:${part.port}${path}`, init);
const post = (body: string | Buffer<ArrayBuffer>, headers: Record<string, string> = {}): Promise<Response> =>
  call('/echo', { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } });

interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  instance: string;
  code: ErrorCode;
  held?: number;
  retryAfter?: number;
  errors?: { field: string; message: string }[];
}
async function problem(response: Promise<Response>, code: ErrorCode): Promise<Problem> {
  const answer = await response;
  const document = (await answer.json()) as Problem;
  assert.equal(document.code, code);
  assert.equal(answer.status, ERRORS[code].status);
  assert.equal(answer.headers.get('content-type'), 'application/problem+json');
  assert.equal(document.status, ERRORS[code].status);
  assert.equal(document.title, ERRORS[code].title);
  assert.equal(document.type, `/docs/errors#${code}`);
  return document;
}

test('every code becomes its problem document', async () => {
  for (const code of Object.keys(ERRORS) as ErrorCode[]) {
    const document = await problem(call(`/fail/${code}?secret=1`), code);
    assert.equal(document.detail, 'why');
    assert.equal(document.instance, `/fail/${code}`);
    assert.equal(document.held, code === 'sold_out' ? 3 : undefined);
  }
});

test('a 401 names the scheme', async () => {
  assert.equal((await call('/fail/unauthenticated')).headers.get('www-authenticate'), 'Bearer');
});

test('Retry-After is jittered between what the error says and twice that', async () => {
  const seen = new Set<number>();
  for (let i = 0; i < 40; i++) {
    const response = await call('/fail/try_again_later');
    const { retryAfter } = (await response.json()) as Problem;
    assert.equal(response.headers.get('retry-after'), String(retryAfter));
    assert.ok(retryAfter !== undefined && retryAfter >= 2 && retryAfter <= 4);
    seen.add(retryAfter);
  }
  assert.ok(seen.size > 1);
});

test('what is not known is internal_error and tells nothing; a missed deadline is try_again_later', async () => {
  assert.doesNotMatch(JSON.stringify(await problem(call('/bug'), 'internal_error')), /hunter2/);
  await problem(call('/late'), 'try_again_later');
  await assert.rejects(call('/half').then((response) => response.text()));
});

test('unknown paths and wrong methods', async () => {
  await problem(call('/nothing'), 'not_found');
  await problem(call('/shop/nothing'), 'not_found');
  await problem(call('/shop/items/%ff'), 'invalid_request');
  await problem(call('/echo', { method: 'DELETE' }), 'method_not_allowed');
  const nestedAnswer = await call('/shop/items/3', { method: 'PATCH' });
  assert.equal(nestedAnswer.headers.get('allow'), 'DELETE, GET, HEAD');
  await problem(Promise.resolve(nestedAnswer), 'method_not_allowed');
});

test('reads JSON bodies and names the fields that are wrong', async () => {
  const body = { sku: 'größe-42', quantity: 2 };
  assert.deepEqual(await (await post(JSON.stringify(body))).json(), body);
  const typed = await post(JSON.stringify(body), { 'content-type': 'application/json; charset=UTF-8' });
  assert.deepEqual(await typed.json(), body);
  const { errors } = await problem(post('{"sku":1}'), 'invalid_request');
  assert.deepEqual(
    errors?.map((error) => error.field),
    ['sku', 'quantity'],
  );
  await problem(post(''), 'invalid_request');
});

test('refuses bodies it cannot read', async () => {
  await problem(post('{"sku":'), 'invalid_request');
  const latin1 = await problem(post(Buffer.from('{"sku":"größe","quantity":1}', 'latin1')), 'invalid_request');
  assert.match(latin1.detail, /not valid JSON/);
  await problem(post('sku=1', { 'content-type': 'application/x-www-form-urlencoded' }), 'unsupported_media_type');
  await problem(post('{}', { 'content-type': 'application/json; charset=latin1' }), 'unsupported_media_type');
  await problem(post('{}', { 'content-encoding': 'gzip' }), 'unsupported_media_type');
  const text = JSON.stringify({ sku: 'x'.repeat(65_536), quantity: 1 });
  await problem(post(text), 'payload_too_large');
  const streamed = new Blob([text]).stream();
  const init = { method: 'POST', body: streamed, duplex: 'half', headers: { 'content-type': 'application/json' } };
  await problem(call('/echo', init as RequestInit), 'payload_too_large');
});

test('any text as a body is answered with 200 or a 400 problem', async () => {
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.string(), fc.json()), async (text) => {
      const { status } = await post(text);
      assert.ok(status === 400 || status === 200);
    }),
    { numRuns: 50 },
  );
});

test('a route that reads another media type itself gets the untouched stream', async () => {
  const response = await call('/raw', { method: 'PUT', body: 'as it is', headers: { 'content-type': 'text/plain' } });
  assert.equal(await response.text(), 'as it is');
});

test('a sane correlation id is kept, any other is made anew', async () => {
  const echoed = async (id?: string): Promise<string> => {
    const response = await call('/query?page=2', id === undefined ? {} : { headers: { 'x-correlation-id': id } });
    assert.deepEqual(await response.json(), { page: '2' });
    return response.headers.get('x-correlation-id') ?? '';
  };
  assert.equal(await echoed('rush-1.a_B'), 'rush-1.a_B');
  assert.equal(await echoed('a'.repeat(128)), 'a'.repeat(128));
  for (const bad of ['a'.repeat(129), 'a b', '{"x":1}', undefined])
    assert.match(await echoed(bad), /^[\w-]{16}\.[0-9a-z]{1,7}$/);
  assert.notEqual(await echoed(), await echoed());
});

test('no answer tells what serves it', async () => {
  const response = await call('/query');
  assert.equal(response.headers.get('x-powered-by'), null);
  assert.equal(response.headers.get('etag'), null);
});

test('who is calling: sync and async verifiers, roles', async () => {
  const as = (path: string, token?: string): Promise<Response> =>
    call(path, token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } });
  assert.deepEqual(((await (await as('/who', 'now')).json()) as Identity).buyer, ann.buyer);
  assert.deepEqual(((await (await as('/who', 'later')).json()) as Identity).buyer, ann.buyer);
  assert.deepEqual(await (await as('/staff', 'now')).json(), ann.buyer);
  await problem(as('/staff', 'later'), 'forbidden');
  await problem(as('/who', 'other'), 'unauthenticated');
  await problem(as('/who'), 'unauthenticated');
});

test('a hot route is answered ahead of Express, its bugs too', async () => {
  const response = await call('/hot');
  assert.equal(response.headers.get('x-correlation-id'), null);
  await problem(Promise.resolve(response), 'sold_out');
  await problem(call('/hot-bug'), 'internal_error');
});

test('the server hands Express requests whose prototypes it need not change', () => {
  const server = part.server as unknown as Record<symbol, unknown>;
  const held = Object.getOwnPropertySymbols(server).map((symbol) => server[symbol]) as { prototype?: unknown }[];
  assert.ok(held.some((value) => value.prototype === app.request));
  assert.ok(held.some((value) => value.prototype === app.response));
});
