/** The outbox of a shard: a stream read by one consumer group, so that each entry is in one relay's hands at a time. */
import { decodeOutboxEntry, keys, TOPICS } from '@flashsale/sale';
import type { OutboxEntry, SaleStore } from '@flashsale/sale';
import { callOutboxAck, callOutboxForget } from '@flashsale/sale/scripts';
import type { RedisConnection } from './redis-connection.ts';
import { shardsOf } from './redis-sale-keys.ts';

const GROUP = 'relay';
const MAX_ACKS = 500;
/** Entries of one peek; each may hold a batch of 128 purchases. */
const PEEKED = 64;

type RawEntry = readonly [id: string, fields: readonly string[] | null];

export function outboxOf(
  redis: RedisConnection,
): Pick<SaleStore, 'readOutbox' | 'acknowledgeOutbox' | 'forgetRelays' | 'peekOutbox'> {
  return {
    async readOutbox(sale, shard, consumer, limit, minIdleMs) {
      const stream = keys.outbox(sale, shard);
      // A shard that was never warmed, or is lost, has no stream.
      const raw = await read(redis, { stream, consumer, limit, minIdleMs }).catch((error: unknown) => {
        if (error instanceof Error && error.message.startsWith('NOGROUP')) return [];
        throw error;
      });
      return raw.flatMap(([entryId, fields]) => (fields ? [entryOf(sale, entryId, fields)] : []));
    },

    async acknowledgeOutbox(sale, shard, entryIds) {
      for (let from = 0; from < entryIds.length; from += MAX_ACKS) {
        const each = entryIds.slice(from, from + MAX_ACKS).map((id) => ({ id }));
        await callOutboxAck(redis.run, { outbox: keys.outbox(sale, shard) }, each);
      }
    },

    forgetRelays: (sale, shard, idleMs) =>
      callOutboxForget(redis.run, { outbox: keys.outbox(sale, shard) }, { idleMs }),

    async peekOutbox(sale) {
      return (await Promise.all(shardsOf(sale).map((shard) => peek(redis, sale.name, shard)))).flat();
    },
  };
}

async function peek(redis: RedisConnection, sale: string, shard: number): Promise<OutboxEntry[]> {
  const found: OutboxEntry[] = [];
  for (let from = '-'; ;) {
    const range = [keys.outbox(sale, shard), from, '+', 'COUNT', PEEKED] as const;
    const raw = await redis.command<[string, string[]][]>('XRANGE', ...range);
    found.push(...raw.map(([entryId, fields]) => entryOf(sale, entryId, fields)));
    const last = raw.at(-1);
    if (!last || raw.length < PEEKED) return found;
    from = `(${last[0]}`;
  }
}

interface Read {
  readonly stream: string;
  readonly consumer: string;
  readonly limit: number;
  readonly minIdleMs: number;
}

/** First what another relay left lying, then what is new. */
async function read(redis: RedisConnection, wanted: Read): Promise<RawEntry[]> {
  const { stream, consumer, limit } = wanted;
  const left = await claim(redis, wanted);
  const room = limit - left.length;
  if (room <= 0) return left;
  const group = ['GROUP', GROUP, consumer] as const;
  const fresh = await redis.command<unknown>('XREADGROUP', ...group, 'COUNT', room, 'STREAMS', stream, '>');
  return [...left, ...entriesOf(fresh)];
}

async function claim(redis: RedisConnection, { stream, consumer, limit, minIdleMs }: Read): Promise<RawEntry[]> {
  if (minIdleMs === Infinity) return [];
  const args = [stream, GROUP, consumer, minIdleMs, '0-0', 'COUNT', limit] as const;
  const [, left] = await redis.command<[string, RawEntry[]]>('XAUTOCLAIM', ...args);
  return left;
}

/** The entries of the one stream asked for: `[[name, entries]]` in RESP2, `[name, entries]` or a map in RESP3. */
function entriesOf(reply: unknown): RawEntry[] {
  if (!Array.isArray(reply)) return [];
  const flat = Array.isArray(reply[0]) ? (reply[0] as unknown[]) : (reply as unknown[]);
  return flat[1] as RawEntry[];
}

function entryOf(sale: string, entryId: string, fields: readonly string[]): OutboxEntry {
  const topic = fields[0] === 'expired' ? TOPICS.payments : TOPICS.purchases;
  return { entryId, topic, events: decodeOutboxEntry(sale, fields) };
}
