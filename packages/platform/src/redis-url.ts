/** Addresses of Redis, and how long to wait before a reconnect. */
export interface RedisAddress {
  readonly cluster: boolean;
  /** At least one. */
  readonly nodes: { readonly host: string; readonly port: number }[];
  /** What every node's connection needs. */
  readonly common: { readonly username?: string; readonly password?: string; readonly tls?: Record<string, never> };
  readonly db: number;
}

const DEFAULT_PORT = 6379;
const FORM =
  /^redis(?<tls>s)?(?<cluster>-cluster)?:\/\/(?:(?<user>[^:@/]*):(?<password>[^@/]*)@)?(?<hosts>[^/@]+)(?:\/(?<db>\d+))?\/?$/;

/**
 * `redis://[user:password@]host:port[/db]`, the same with `rediss:` over TLS, or
 * `redis-cluster://[user:password@]h1:p1,h2:p2`. Throws without repeating the value, which may hold a password.
 */
export function parseRedisUrl(url: string): RedisAddress {
  const { tls, cluster, user, password, hosts, db } = FORM.exec(url)?.groups ?? {};
  if (hosts === undefined || (cluster !== undefined && db !== undefined)) {
    throw new Error('The address of Redis must be redis://host:port[/db] or redis-cluster://host:port,host:port');
  }
  const nodes = hosts.split(',').map((text) => {
    const { hostname, port } = new URL(`redis://${text}`);
    return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || DEFAULT_PORT) };
  });
  const common = {
    ...(user ? { username: decodeURIComponent(user) } : {}),
    ...(password ? { password: decodeURIComponent(password) } : {}),
    ...(tls ? { tls: {} } : {}),
  };
  return { cluster: cluster !== undefined, nodes, common, db: Number(db ?? 0) };
}

/** Ms until reconnect number `times`: 20 ms doubled up to 2 s, the upper half of it at random, so that clients spread. */
export function reconnectDelay(times: number): number {
  const ceiling = Math.min(20 * 2 ** times, 2_000);
  return ceiling / 2 + Math.random() * (ceiling / 2);
}
