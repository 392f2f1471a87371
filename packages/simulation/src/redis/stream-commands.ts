/** The stream commands of Redis that the outbox uses. */
import type { Command, Reply, Server } from './commands.ts';
import type { Entry, StreamGroup } from './keyspace.ts';

type Stream = Extract<Entry, { type: 'stream' }>;

const arg = (args: readonly string[], i: number): string => args[i] ?? '';

function compareIds(a: string, b: string): number {
  const [ams = 0, aseq = 0] = a.split('-').map(Number);
  const [bms = 0, bseq = 0] = b.split('-').map(Number);
  return ams - bms || aseq - bseq;
}

function nextId(lastId: string, now: number): string {
  const [ms = 0, seq = 0] = lastId.split('-').map(Number);
  return now > ms ? `${now}-0` : `${ms}-${seq + 1}`;
}

function groupOf(stream: Stream | undefined, key: string, name: string): StreamGroup {
  const group = stream?.groups.get(name);
  if (group) return group;
  throw new Error(`NOGROUP No such key '${key}' or consumer group '${name}'`);
}

const shown = (stream: Stream, ids: readonly string[]): Reply[] =>
  ids.map((id): Reply => [id, stream.entries.get(id) ?? null]);

function readGroup({ data, now }: Server, args: readonly string[]): Reply {
  const at = args.indexOf('STREAMS');
  const [key, name, consumer, count] = [arg(args, at + 1), arg(args, 1), arg(args, 2), Number(arg(args, 4))];
  groupOf(data.read(key, 'stream'), key, name);
  const stream = data.write(key, 'stream');
  const group = groupOf(stream, key, name);
  group.consumers.set(consumer, now());
  const fresh = [...stream.entries.keys()].filter((id) => compareIds(id, group.last) > 0).slice(0, count);
  if (fresh.length === 0) return null;
  for (const id of fresh) group.pending.set(id, { consumer, at: now() });
  group.last = fresh.at(-1) ?? group.last;
  return [[key, shown(stream, fresh)]];
}

function autoClaim({ data, now }: Server, args: readonly string[]): Reply {
  const [key, name, consumer, idle, , , count] = args as [string, string, string, string, string, string, string];
  groupOf(data.read(key, 'stream'), key, name);
  const stream = data.write(key, 'stream');
  const group = groupOf(stream, key, name);
  group.consumers.set(consumer, now());
  const left = [...group.pending].filter(([, { at }]) => now() - at >= Number(idle)).map(([id]) => id);
  const found = left.toSorted(compareIds).slice(0, Number(count));
  const deleted = found.filter((id) => !stream.entries.has(id));
  const kept = found.filter((id) => stream.entries.has(id));
  for (const id of deleted) group.pending.delete(id);
  for (const id of kept) group.pending.set(id, { consumer, at: now() });
  return ['0-0', shown(stream, kept), deleted];
}

function group(server: Server, args: readonly string[]): Reply {
  const { data } = server;
  const [action, key, name] = [arg(args, 0), arg(args, 1), arg(args, 2)];
  if (action === 'CREATE') {
    const stream = data.write(key, 'stream');
    if (stream.groups.has(name)) throw new Error('BUSYGROUP Consumer Group name already exists');
    stream.groups.set(name, { last: '0-0', pending: new Map(), consumers: new Map() });
    return 'OK';
  }
  if (action !== 'DELCONSUMER') throw new Error(`ERR XGROUP ${action} is not known to the simulation`);
  const { consumers, pending } = groupOf(data.write(key, 'stream'), key, name);
  consumers.delete(arg(args, 3));
  const own = [...pending].filter(([, { consumer }]) => consumer === arg(args, 3));
  for (const [id] of own) pending.delete(id);
  return own.length;
}

function consumersOf({ data, now }: Server, args: readonly string[]): Reply {
  const { consumers, pending } = groupOf(data.read(arg(args, 1), 'stream'), arg(args, 1), arg(args, 2));
  return [...consumers].map(([name, seen]): Reply => {
    const own = [...pending.values()].filter(({ consumer }) => consumer === name).length;
    return ['name', name, 'pending', own, 'idle', now() - seen];
  });
}

/** `key start end COUNT n`: from `-` or behind `(id`, to `+`. */
function range({ data }: Server, args: readonly string[]): Reply {
  const stream = data.read(arg(args, 0), 'stream');
  if (!stream) return [];
  const from = arg(args, 1);
  const after = from.startsWith('(') ? from.slice(1) : undefined;
  if (after === undefined && from !== '-') throw new Error('ERR only - and (id are known to the simulation');
  const ids = [...stream.entries.keys()].filter((id) => after === undefined || compareIds(id, after) > 0);
  return shown(stream, ids.slice(0, Number(arg(args, 4))));
}

export const STREAM_COMMANDS: Readonly<Record<string, Command>> = {
  XADD: ({ data, now }, args) => {
    if (arg(args, 1) !== '*') throw new Error('ERR only * is known to the simulation');
    const stream = data.write(arg(args, 0), 'stream');
    stream.lastId = nextId(stream.lastId, now());
    stream.entries.set(stream.lastId, args.slice(2));
    return stream.lastId;
  },
  XLEN: ({ data }, args) => data.read(arg(args, 0), 'stream')?.entries.size ?? 0,
  XRANGE: range,
  XREADGROUP: readGroup,
  XAUTOCLAIM: autoClaim,
  XACK: ({ data }, args) => {
    const known = data.read(arg(args, 0), 'stream')?.groups.has(arg(args, 1));
    if (!known) return 0;
    const { pending } = groupOf(data.write(arg(args, 0), 'stream'), arg(args, 0), arg(args, 1));
    return args.slice(2).filter((id) => pending.delete(id)).length;
  },
  XDEL: ({ data }, args) => {
    if (!data.has(arg(args, 0))) return 0;
    const { entries } = data.write(arg(args, 0), 'stream');
    return args.slice(1).filter((id) => entries.delete(id)).length;
  },
  XGROUP: group,
  XINFO: consumersOf,
};
