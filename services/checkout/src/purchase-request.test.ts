/** Reading a purchase request: whatever is sent, it is read or refused with a code that says why. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SaleError } from '@flashsale/sale';
import fc from 'fast-check';
import { checkHeaders, idempotencyKey, MAX_BODY, parseBody, purchaseDigest, saleOf } from './purchase-request.ts';
import { listSale } from './sale-directory.ts';
import { testItem, testSale } from './test-sale.ts';

const listed = listSale(testSale('drop', { items: [testItem('one'), testItem('three', { perBuyer: 3 })] }));

const refused = (code: string, field?: string) => (error: unknown) => {
  assert.ok(error instanceof SaleError);
  assert.equal(error.code, code);
  if (field !== undefined) assert.equal(error.members.errors?.[0]?.field, field);
  return true;
};

test('the target names the sale, with and without a query; every other target is left to the router', () => {
  assert.equal(saleOf('/api/v1/sales/drop/purchases'), 'drop');
  assert.equal(saleOf('/api/v1/sales/drop/purchases?x=/purchases'), 'drop');
  for (const other of [
    '/api/v1/sales',
    '/api/v1/sales/drop',
    '/api/v1/sales//purchases',
    '/api/v1/sales/a/b/purchases',
    '/api/v1/sales/purchases',
    undefined,
  ]) {
    assert.equal(saleOf(other), undefined, other);
  }
});

test('the same as the URL standard for any path', () => {
  const segment = fc.constantFrom('api', 'v1', 'sales', 'purchases', 'drop', 'a-b', '');
  fc.assert(
    fc.property(
      fc.array(segment, { maxLength: 7 }),
      fc.constantFrom('', '?', '?a=b', '?/purchases'),
      (segments, query) => {
        const target = `/${segments.join('/')}${query}`;
        const match = /^\/api\/v1\/sales\/([^/]+)\/purchases$/.exec(new URL(`http://x${target}`).pathname);
        // A target that starts with two slashes is a host to the URL class, and no path of ours.
        if (!target.startsWith('//')) assert.equal(saleOf(target), match?.[1]);
      },
    ),
  );
});

test('an idempotency key is 1 to 128 visible ASCII characters', () => {
  assert.equal(idempotencyKey('k'.repeat(128)), 'k'.repeat(128));
  assert.throws(() => idempotencyKey(undefined), refused('idempotency_key_missing'));
  assert.throws(() => idempotencyKey(''), refused('idempotency_key_missing'));
  for (const bad of ['k'.repeat(129), 'a b', 'ä', 'a\tb', ['a', 'b']]) {
    assert.throws(() => idempotencyKey(bad), refused('invalid_request', 'Idempotency-Key'));
  }
});

test('digests have 22 characters of base64url and differ by buyer and by key', () => {
  assert.match(purchaseDigest('b', 'k'), /^[\w-]{22}$/);
  assert.notEqual(purchaseDigest('b', 'k'), purchaseDigest('bk', ''));
  assert.notEqual(purchaseDigest('a', 'k'), purchaseDigest('b', 'k'));
});

test('another media type and a large body are refused from the headers', () => {
  checkHeaders('application/json', '10');
  checkHeaders('Application/JSON; charset=utf-8', undefined);
  assert.throws(() => checkHeaders('text/plain', '10'), refused('unsupported_media_type'));
  assert.throws(() => checkHeaders('application/jsonx', '10'), refused('unsupported_media_type'));
  assert.throws(() => checkHeaders(undefined, '10'), refused('unsupported_media_type'));
  assert.throws(() => checkHeaders('application/json', String(MAX_BODY + 1)), refused('payload_too_large'));
});

test('a body names the field that is wrong', () => {
  assert.deepEqual(parseBody('{"sku":"three","quantity":3}', listed).quantity, 3);
  const cases = [
    ['', 'body'],
    ['[]', 'body'],
    ['null', 'body'],
    ['"x"', 'body'],
    ['{"quantity":1}', 'sku'],
    ['{"sku":1,"quantity":1}', 'sku'],
    ['{"sku":"none","quantity":1}', 'sku'],
    ['{"sku":"__proto__","quantity":1}', 'sku'],
    ['{"sku":"one"}', 'quantity'],
    ['{"sku":"one","quantity":"1"}', 'quantity'],
    ['{"sku":"one","quantity":0}', 'quantity'],
    ['{"sku":"one","quantity":1.5}', 'quantity'],
    ['{"sku":"one","quantity":1e400}', 'quantity'],
    ['{"sku":"one","quantity":2}', 'quantity'],
    ['{"sku":"three","quantity":4}', 'quantity'],
  ] as const;
  for (const [body, field] of cases)
    assert.throws(() => parseBody(body, listed), refused('invalid_request', field), body);
});

test('the same body is another item in another sale, and in the same sale published anew', () => {
  const [one, two] = ['drop', 'other'].map((name) => listSale(testSale(name))) as [typeof listed, typeof listed];
  const anew = listSale(one.sale);
  const body = '{"sku":"air-zero-42","quantity":1}';
  for (const each of [one, one, two, anew, one]) {
    assert.equal(parseBody(body, each).item, each.items.get('air-zero-42'));
  }
  assert.throws(() => parseBody(body, listed), refused('invalid_request', 'sku'));
  assert.throws(() => parseBody(`${body} x`, one), refused('invalid_request', 'body'));
});

test('any JSON is read or refused as invalid_request, never anything else', () => {
  fc.assert(
    fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
      try {
        parseBody(text, listed);
      } catch (error) {
        refused('invalid_request')(error);
      }
    }),
  );
});
