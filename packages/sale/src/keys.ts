/** Redis key names. `{sale:shard}` is the hash tag: all keys of a shard share one slot of a Redis Cluster. */
const tag = (sale: string, shard: number): string => `fs:{${sale}:${shard}}`;

export const keys = {
  /** Hash: epoch, opensAt, closesAt, state (open | paused | closed), holdForMs, membersOnly; token and staged epoch while it is loaded. */
  meta: (sale: string, shard: number): string => `${tag(sale, shard)}:meta`,
  /** Hash of one item: stock (this shard's share), free, held, sold, changes; perBuyer, price, currency. */
  item: (sale: string, shard: number, sku: string): string => `${tag(sale, shard)}:item:${sku}`,
  /** Who has units of an item: a bitmap by buyer number (perBuyer 1), and a hash of counts by buyer id. */
  buyerBits: (sale: string, shard: number, sku: string): string => `${tag(sale, shard)}:buyerbits:${sku}`,
  buyerCounts: (sale: string, shard: number, sku: string): string => `${tag(sale, shard)}:buyers:${sku}`,
  /** Hash: purchase id → hold. */
  holds: (sale: string, shard: number): string => `${tag(sale, shard)}:holds`,
  /** Sorted set: purchase id by expiry. */
  due: (sale: string, shard: number): string => `${tag(sale, shard)}:due`,
  /** Stream: what the relay has yet to write to Kafka. */
  outbox: (sale: string, shard: number): string => `${tag(sale, shard)}:outbox`,
  /** Bitmap by buyer number: who may buy in a members-only sale. */
  eligible: (sale: string, shard: number): string => `${tag(sale, shard)}:eligible`,
  /** Hash: transfers between shards (borrow): open ones, and the last number given and received a pair of shards. */
  transfers: (sale: string, shard: number): string => `${tag(sale, shard)}:transfers`,
  /** Hash: sale name → PublishedSale as JSON; and its version counter. */
  published: 'fs:sales',
  publishedVersion: 'fs:sales:version',
  /** Bloom filter of sale names and skus that exist (`Existence`), its bytes as base64. */
  existence: 'fs:exists',
  /** Hash of a page of the catalog: version, loadMs, body. And who loads it right now. */
  page: (name: string): string => `fs:page:${name}`,
  pageLock: (name: string): string => `fs:page-lock:${name}`,
  /** Live servers a buyer is connected to. */
  presence: (buyer: string): string => `fs:presence:${buyer}`,
  /** One-time WebSocket ticket. */
  ticket: (ticket: string): string => `fs:ticket:${ticket}`,
} as const;

export const channels = {
  /** Pushes to buyers connected to one live server. */
  paymentUpdate: (serverId: string): string => `payment_update:${serverId}`,
  /** `BroadcastMessage`s for everyone. */
  broadcast: 'fs:broadcast',
} as const;
