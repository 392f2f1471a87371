/**
 * Purchase ids. An id names its sale and shard, so that a made-up id costs no look-up, and is derived from
 * buyer and idempotency key, so that the same request always has the same id, in any process.
 * Form: `<sale>.<shard>.<22 characters of base64url>`, for example `sneaker-drop.3.kF9qX0cW1v2h3j4k5l6m7n`.
 */
export interface PurchaseRef {
  readonly sale: string;
  readonly shard: number;
}

const FORM = /^([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)\.(0|[1-9]\d{0,2})\.[A-Za-z0-9_-]{22}$/;

/** `digest` is the first 22 characters of base64url(SHA-256(buyer NUL key)): 132 bits. */
export function purchaseId(sale: string, shard: number, digest: string): string {
  return `${sale}.${shard}.${digest}`;
}

/** Undefined where the text is not a purchase id. */
export function parsePurchaseId(id: string): PurchaseRef | undefined {
  const match = FORM.exec(id);
  if (!match) return undefined;
  return { sale: match[1] as string, shard: Number(match[2]) };
}

/** The buyer's home shard: FNV-1a over the buyer id, so that one buyer's limit is kept in one place. */
export function homeShard(buyer: string, shards: number): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < buyer.length; i++) hash = Math.imul(hash ^ buyer.charCodeAt(i), 0x01000193) >>> 0;
  // A last mix: FNV's low bits of similar ids are correlated.
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b) >>> 0;
  // `^` answers a signed number; `>>> 0` makes it unsigned, so that no shard is negative.
  return ((hash ^ (hash >>> 13)) >>> 0) % shards;
}
