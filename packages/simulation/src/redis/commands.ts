/** The commands of Redis that the store, the signals and the scripts use, on a keyspace. Replies are as in RESP2. */
import type { Keyspace } from './keyspace.ts';
import { STREAM_COMMANDS } from './stream-commands.ts';

export type Reply = null | number | string | readonly Reply[];

export interface Server {
  readonly data: Keyspace;
  /** Unix ms by the server's clock. */
  readonly now: () => number;
  /** Returns how many heard it. */
  readonly publish: (channel: string, text: string) => number;
}

export type Command = (server: Server, args: readonly string[]) => Reply;

const at = (args: readonly string[], i: number): string => {
  const arg = args[i];
  if (arg === undefined) throw new Error('ERR wrong number of arguments');
  return arg;
};

function pairs(args: readonly string[], from: number): [string, string][] {
  const found: [string, string][] = [];
  for (let i = from; i < args.length; i += 2) found.push([at(args, i), at(args, i + 1)]);
  return found;
}

const integer = (text: string): number => {
  const number = Number(text);
  if (!Number.isInteger(number)) throw new Error('ERR value is not an integer or out of range');
  return number;
};

const HASHES: Readonly<Record<string, Command>> = {
  HGET: ({ data }, args) => data.read(at(args, 0), 'hash')?.fields.get(at(args, 1)) ?? null,
  HMGET: ({ data }, args) => {
    const fields = data.read(at(args, 0), 'hash')?.fields;
    return args.slice(1).map((field) => fields?.get(field) ?? null);
  },
  HGETALL: ({ data }, args) => [...(data.read(at(args, 0), 'hash')?.fields ?? [])].flat(),
  HVALS: ({ data }, args) => [...(data.read(at(args, 0), 'hash')?.fields.values() ?? [])],
  HLEN: ({ data }, args) => data.read(at(args, 0), 'hash')?.fields.size ?? 0,
  /** In one page: the guarantees of a scan allow it. */
  HSCAN: ({ data }, args) => ['0', [...(data.read(at(args, 0), 'hash')?.fields ?? [])].flat()],
  HSET: ({ data }, args) => {
    const { fields } = data.write(at(args, 0), 'hash');
    const before = fields.size;
    for (const [field, value] of pairs(args, 1)) fields.set(field, value);
    return fields.size - before;
  },
  HSETNX: ({ data }, args) => {
    if (data.read(at(args, 0), 'hash')?.fields.has(at(args, 1))) return 0;
    data.write(at(args, 0), 'hash').fields.set(at(args, 1), at(args, 2));
    return 1;
  },
  HINCRBY: ({ data }, args) => {
    const { fields } = data.write(at(args, 0), 'hash');
    const value = integer(fields.get(at(args, 1)) ?? '0') + integer(at(args, 2));
    fields.set(at(args, 1), String(value));
    return value;
  },
  HDEL: ({ data }, args) => {
    if (!data.has(at(args, 0))) return 0;
    const { fields } = data.write(at(args, 0), 'hash');
    const removed = args.slice(1).filter((field) => fields.delete(field)).length;
    if (fields.size === 0) data.delete(at(args, 0));
    return removed;
  },
};

const remove: Command = ({ data }, args) => args.filter((key) => data.delete(key)).length;

const STRINGS: Readonly<Record<string, Command>> = {
  GET: ({ data }, args) => data.read(at(args, 0), 'string')?.text ?? null,
  SET: ({ data }, args) => {
    data.delete(at(args, 0));
    data.write(at(args, 0), 'string').text = at(args, 1);
    return 'OK';
  },
  INCR: ({ data }, args) => {
    const entry = data.write(at(args, 0), 'string');
    const value = integer(entry.text === '' ? '0' : entry.text) + 1;
    entry.text = String(value);
    return value;
  },
  GETBIT: ({ data }, args) => (data.read(at(args, 0), 'bits')?.ones.has(integer(at(args, 1))) ? 1 : 0),
  SETBIT: ({ data }, args) => setBit(data, at(args, 0), integer(at(args, 1)), at(args, 2)),
  BITFIELD: ({ data }, args) => {
    const replies: number[] = [];
    for (let i = 1; i < args.length;) {
      if (at(args, i + 1) !== 'u1') throw new Error('ERR only u1 is known to the simulation');
      const offset = integer(at(args, i + 2));
      const isGet = at(args, i).toUpperCase() === 'GET';
      const old = data.read(at(args, 0), 'bits')?.ones.has(offset) ? 1 : 0;
      replies.push(isGet ? old : setBit(data, at(args, 0), offset, at(args, i + 3)));
      i += isGet ? 3 : 4;
    }
    return replies;
  },
};

function setBit(data: Keyspace, key: string, offset: number, bit: string): number {
  const { ones } = data.write(key, 'bits');
  const old = ones.has(offset) ? 1 : 0;
  if (bit === '1') ones.add(offset);
  else ones.delete(offset);
  return old;
}

const SETS: Readonly<Record<string, Command>> = {
  SMEMBERS: ({ data }, args) => [...(data.read(at(args, 0), 'set')?.members ?? [])],
  SADD: ({ data }, args) => {
    const { members } = data.write(at(args, 0), 'set');
    const before = members.size;
    for (const member of args.slice(1)) members.add(member);
    return members.size - before;
  },
  SREM: ({ data }, args) => {
    if (!data.has(at(args, 0))) return 0;
    const { members } = data.write(at(args, 0), 'set');
    const removed = args.slice(1).filter((member) => members.delete(member)).length;
    if (members.size === 0) data.delete(at(args, 0));
    return removed;
  },
  ZADD: ({ data }, args) => {
    const { scores } = data.write(at(args, 0), 'zset');
    const before = scores.size;
    for (const [score, member] of pairs(args, 1)) scores.set(member, score === '+inf' ? Infinity : Number(score));
    return scores.size - before;
  },
  ZREM: ({ data }, args) => {
    if (!data.has(at(args, 0))) return 0;
    const { scores } = data.write(at(args, 0), 'zset');
    const removed = args.slice(1).filter((member) => scores.delete(member)).length;
    if (scores.size === 0) data.delete(at(args, 0));
    return removed;
  },
  /** `key min max BYSCORE LIMIT offset count` only. */
  ZRANGE: ({ data }, args) => {
    if (at(args, 3) !== 'BYSCORE' || at(args, 4) !== 'LIMIT') throw new Error('ERR only BYSCORE LIMIT is known here');
    const [min, max, offset, count] = [at(args, 1), at(args, 2), at(args, 5), at(args, 6)].map(Number) as [
      number,
      number,
      number,
      number,
    ];
    const due = [...(data.read(at(args, 0), 'zset')?.scores ?? [])].filter(([, score]) => score >= min && score <= max);
    due.sort(([a, one], [b, other]) => one - other || (a < b ? -1 : 1));
    return due.slice(offset, offset + count).map(([member]) => member);
  },
};

const KEYS: Readonly<Record<string, Command>> = {
  TIME: ({ now }) => [String(Math.floor(now() / 1_000)), String(Math.floor((now() % 1_000) * 1_000))],
  EXISTS: ({ data }, args) => args.filter((key) => data.has(key)).length,
  DEL: remove,
  UNLINK: remove,
  /** Nothing runs out within a simulated sale. */
  EXPIRE: ({ data }, args) => (data.has(at(args, 0)) ? 1 : 0),
  PUBLISH: ({ publish }, args) => publish(at(args, 0), at(args, 1)),
};

export const COMMANDS: Readonly<Record<string, Command>> = {
  ...HASHES,
  ...STRINGS,
  ...SETS,
  ...KEYS,
  ...STREAM_COMMANDS,
};
