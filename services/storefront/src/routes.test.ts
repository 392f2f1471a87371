/** Every path goes to one service or to none. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { routeOf } from './routes.ts';

test('the table', () => {
  const expected: [string, string | undefined][] = [
    ['/api/v1/sales', 'checkout'],
    ['/api/v1/sales/sneaker-drop', 'checkout'],
    ['/api/v1/sales/sneaker-drop/purchases', 'checkout'],
    ['/api/v1/purchases/sneaker-drop.0.kF9qX0cW1v2h3j4k5l6m7n', 'checkout'],
    ['/api/v1/purchases', 'orders'],
    ['/api/v1/orders', 'orders'],
    ['/api/v1/orders/1', 'orders'],
    ['/api/v1/products', 'catalog'],
    ['/api/v1/products/air-zero-42', 'catalog'],
    ['/api/v1/search', 'catalog'],
    ['/api/v1/search/x', undefined],
    ['/api/v1/auth/register', 'identity'],
    ['/oidc/.well-known/openid-configuration', 'identity'],
    ['/oidc/auth', 'identity'],
    ['/api/v1/live/tickets', 'live'],
    ['/api/v1/live', undefined],
    ['/api/v1/salesmen', undefined],
    ['/api/v1/auth', undefined],
    ['/oidcx/auth', undefined],
    ['/internal/test-tokens', undefined],
    ['/', undefined],
    ['/sales/sneaker-drop', undefined],
  ];
  for (const [path, upstream] of expected) assert.equal(routeOf(path), upstream, path);
});

test('a path that a service may read as another one goes nowhere', () => {
  for (const path of [
    '/oidc/../internal/test-tokens',
    '/oidc/..',
    '/oidc/./x',
    '/oidc//internal',
    '/oidc/%2e%2e/internal',
    '/oidc/.%2E/internal',
    '/oidc/..%2finternal',
    '/oidc/..\\internal',
    '/oidc/%5cinternal',
    '/api/v1/sales/%2Finternal',
  ]) {
    assert.equal(routeOf(path), undefined, path);
  }
});

test('no path that comes to /internal once it is normalised is routed', () => {
  const piece = fc.constantFrom(
    '/',
    '.',
    '..',
    '/oidc',
    '/api/v1/sales',
    '/internal',
    '%2e',
    '%2f',
    'internal',
    '\\',
    'a',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      const path = `/${pieces.join('')}`;
      const decoded = path
        .replace(/%2e/g, '.')
        .replace(/%2f|\\/g, '/')
        .replace(/\/{2,}/g, '/');
      const normal = new URL(decoded, 'http://x').pathname;
      if (normal.startsWith('/internal')) assert.equal(routeOf(path), undefined);
    }),
    { numRuns: 1000 },
  );
});
