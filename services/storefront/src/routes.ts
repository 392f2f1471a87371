/** Which service answers which path. What is not in the table goes nowhere: `/internal` above all. */

export const UPSTREAMS = ['checkout', 'orders', 'catalog', 'identity', 'live'] as const;
export type Upstream = (typeof UPSTREAMS)[number];

/** The WebSocket; the only path that is upgraded. */
export const LIVE_PATH = '/api/v1/live';

interface Route {
  readonly path: string;
  /** Everything below the path too; `only`: nothing but what is below. Absent: the path alone. */
  readonly below?: 'too' | 'only';
  readonly to: Upstream;
}

export const ROUTES: readonly Route[] = [
  { path: '/api/v1/sales', below: 'too', to: 'checkout' },
  { path: '/api/v1/purchases', below: 'only', to: 'checkout' },
  { path: '/api/v1/purchases', to: 'orders' },
  { path: '/api/v1/orders', below: 'too', to: 'orders' },
  { path: '/api/v1/products', below: 'too', to: 'catalog' },
  { path: '/api/v1/search', to: 'catalog' },
  { path: '/api/v1/auth', below: 'only', to: 'identity' },
  { path: '/oidc', below: 'only', to: 'identity' },
  { path: '/api/v1/live/tickets', to: 'live' },
];

/**
 * Forms that two servers may read in two ways: dot segments, empty segments, backslashes, and these encoded.
 * No address of ours has them, so they are not routed at all.
 */
const AMBIGUOUS = /\/\.{1,2}(?:\/|$)|\/\/|\\|%(?:2e|2f|5c|00)/i;

/** The service for a path (without its query); undefined where the edge answers itself. */
export function routeOf(path: string): Upstream | undefined {
  for (const route of ROUTES) {
    if (matches(route, path)) return AMBIGUOUS.test(path) ? undefined : route.to;
  }
  return undefined;
}

function matches({ path: base, below }: Route, path: string): boolean {
  if (!path.startsWith(base)) return false;
  if (path.length === base.length) return below !== 'only';
  return below !== undefined && path.charCodeAt(base.length) === 47; // '/'
}
