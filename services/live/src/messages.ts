/** What a client may send over its WebSocket. */
import type { RawData } from 'ws';

export interface WatchMessage {
  readonly type: 'watch';
  /** Purchase id. */
  readonly purchase: string;
}

/** Longest purchase id: sale name, shard, digest. */
const MAX_PURCHASE = 100;

/** Undefined where it is not a message we know. */
export function parseClientMessage(data: RawData): WatchMessage | undefined {
  if (!Buffer.isBuffer(data)) return undefined;
  try {
    const value = JSON.parse(data.toString()) as Partial<WatchMessage> | null;
    const purchase = value?.type === 'watch' ? value.purchase : undefined;
    if (typeof purchase !== 'string' || purchase.length > MAX_PURCHASE) return undefined;
    return { type: 'watch', purchase };
  } catch {
    return undefined;
  }
}
