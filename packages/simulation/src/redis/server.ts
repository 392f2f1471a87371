/** A simulated Redis: carries out commands and the real Lua scripts, each in one step. */
import type { Script } from '@flashsale/sale/scripts';
import { COMMANDS, type Reply, type Server } from './commands.ts';
import { Keyspace } from './keyspace.ts';
import { compileLua, type CompiledScript } from './lua-compile.ts';
import { LuaTable, toText, type LuaValue } from './lua-values.ts';

const compiled = new Map<string, CompiledScript>();

function compiledOf({ sha1, text }: Script): CompiledScript {
  let known = compiled.get(sha1);
  if (!known) compiled.set(sha1, (known = compileLua(text)));
  return known;
}

export interface RedisServerOptions {
  /** Unix ms. */
  readonly now: () => number;
  readonly publish?: (channel: string, text: string) => number;
  readonly nodeOf?: (key: string) => number;
}

export class RedisServer implements Server {
  readonly data: Keyspace;
  readonly now: () => number;
  readonly publish: (channel: string, text: string) => number;

  constructor({ now, publish = () => 0, nodeOf }: RedisServerOptions) {
    this.data = new Keyspace(nodeOf);
    this.now = now;
    this.publish = publish;
  }

  /** Throws what the server would answer as an error. */
  command(name: string, args: readonly (string | number)[]): Reply {
    return this.data.atomically(() => this.#carryOut(name, args.map(String)));
  }

  run(script: Script, keys: readonly string[], args: readonly (string | number)[]): Reply {
    const run = compiledOf(script);
    const call = (...given: LuaValue[]): LuaValue[] => {
      const [name = '', ...rest] = given.map(argument);
      return [toLua(this.#carryOut(name, rest))];
    };
    return this.data.atomically(() => fromLua(run(new LuaTable([...keys]), new LuaTable(args.map(String)), call)));
  }

  #carryOut(name: string, args: readonly string[]): Reply {
    const command = COMMANDS[name];
    if (!command) throw new Error(`ERR the simulation does not know ${name}`);
    return command(this, args);
  }
}

/** Redis takes texts and numbers from a script, nothing else. */
const argument = (value: LuaValue): string => (typeof value === 'number' ? String(value) : toText(value));

function toLua(reply: Reply): LuaValue {
  if (reply === null) return false;
  return typeof reply === 'object' ? new LuaTable(reply.map(toLua)) : reply;
}

function fromLua(value: LuaValue): Reply {
  if (value === undefined || value === false) return null;
  if (value === true) return 1;
  if (typeof value === 'number') return Math.trunc(value);
  if (typeof value === 'string') return value;
  if (value instanceof LuaTable) return value.list.map(fromLua);
  throw new Error('a script returned a function');
}
