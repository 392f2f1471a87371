/** Lua's values and the few library functions that the scripts call, as JavaScript has them. Nil is `undefined`. */

export type LuaFunction = (...args: LuaValue[]) => LuaValue[];
export type LuaValue = undefined | boolean | number | string | LuaTable | LuaFunction;

/** A table: what is at 1, 2, 3, … without a gap in an array, all else in a map. */
export class LuaTable {
  readonly list: LuaValue[];
  readonly map = new Map<LuaValue, LuaValue>();

  constructor(list: LuaValue[] = []) {
    this.list = list;
  }

  get(key: LuaValue): LuaValue {
    if (typeof key === 'number' && key >= 1 && key <= this.list.length) return this.list[key - 1];
    return this.map.get(key);
  }

  set(key: LuaValue, value: LuaValue): void {
    if (typeof key !== 'number' || key < 1 || key > this.list.length + 1 || !Number.isInteger(key)) {
      if (key === undefined) throw new Error('table index is nil');
      if (value === undefined) this.map.delete(key);
      else this.map.set(key, value);
    } else if (key <= this.list.length) {
      this.#replace(key, value);
    } else if (value !== undefined) {
      this.#append(value);
    }
  }

  /** Sets and returns the table, for constructors. */
  with(key: LuaValue, value: LuaValue): this {
    this.set(key, value);
    return this;
  }

  #replace(key: number, value: LuaValue): void {
    if (value !== undefined) {
      this.list[key - 1] = value;
      return;
    }
    const tail = this.list.splice(key - 1);
    tail.forEach((one, i) => i > 0 && this.map.set(key + i, one));
  }

  #append(value: LuaValue): void {
    this.list.push(value);
    for (let next = this.map.get(this.list.length + 1); next !== undefined;) {
      this.map.delete(this.list.length + 1);
      this.list.push(next);
      next = this.map.get(this.list.length + 1);
    }
  }
}

export const isTrue = (value: LuaValue): boolean => value !== undefined && value !== false;

/** A number, or a text that reads as one; anything else is an error in arithmetic, as in Lua. */
export function toNumber(value: LuaValue): number {
  const number = readNumber(value);
  if (number === undefined) throw new Error(`attempt to perform arithmetic on ${describe(value)}`);
  return number;
}

function readNumber(value: LuaValue): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value !== 'string' || !/^\s*[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?\s*$/i.test(value)) return undefined;
  return Number(value);
}

/** As Lua's `%.14g` writes a number. */
export function toText(value: LuaValue): string {
  if (typeof value === 'string') return value;
  if (typeof value !== 'number') throw new Error(`attempt to concatenate ${describe(value)}`);
  if (Number.isInteger(value) && Math.abs(value) < 1e14) return String(value);
  return String(Number(value.toPrecision(14))).replace(/e([-+])(\d)$/, 'e$10$2');
}

const describe = (value: LuaValue): string => `a ${value === undefined ? 'nil' : typeof value} value`;

export function lengthOf(value: LuaValue): number {
  if (typeof value === 'string') return value.length;
  if (value instanceof LuaTable) return value.list.length;
  throw new Error(`attempt to get length of ${describe(value)}`);
}

export function isLess(a: LuaValue, b: LuaValue): boolean {
  const same = (typeof a === 'number' && typeof b === 'number') || (typeof a === 'string' && typeof b === 'string');
  if (!same) throw new Error(`attempt to compare ${describe(a)} with ${describe(b)}`);
  return (a as number) < (b as number);
}

export function index(value: LuaValue, key: LuaValue): LuaValue {
  if (value instanceof LuaTable) return value.get(key);
  throw new Error(`attempt to index ${describe(value)}`);
}

export function call(target: LuaValue, args: LuaValue[]): LuaValue[] {
  if (typeof target !== 'function') throw new Error(`attempt to call ${describe(target)}`);
  return target(...args);
}

const CLASSES: Readonly<Record<string, string>> = { d: '0-9', a: 'A-Za-z', w: 'A-Za-z0-9', s: '\\s' };
const patterns = new Map<string, RegExp>();

/** A Lua pattern as a regular expression: classes, sets, captures, anchors and quantifiers; no `%b`, no `%f`. */
export function patternOf(pattern: string): RegExp {
  let known = patterns.get(pattern);
  if (!known) patterns.set(pattern, (known = translate(pattern)));
  return known;
}

function translate(pattern: string): RegExp {
  let source = '';
  let set = false;
  for (let i = 0; i < pattern.length; i++) {
    const sign = pattern[i] as string;
    if (sign === '%') source += classOf(pattern[++i] ?? '', set);
    else if (sign === '[') [source, set] = [`${source}[`, true];
    else if (sign === ']') [source, set] = [`${source}]`, false];
    else source += set ? sign : outsideSet(sign, i === 0, i === pattern.length - 1);
  }
  return new RegExp(source);
}

function classOf(letter: string, set: boolean): string {
  const members = CLASSES[letter];
  if (members !== undefined) return set ? members : `[${members}]`;
  if (/[A-Za-z0-9]/.test(letter)) throw new Error(`the pattern class %${letter} is not known here`);
  return `\\${letter}`;
}

function outsideSet(sign: string, first: boolean, last: boolean): string {
  if (sign === '.') return '[^]';
  if (sign === '-') return '*?';
  if (sign === '^') return first ? '^' : '\\^';
  if (sign === '$') return last ? '$' : '\\$';
  return /[{}|/\\]/.test(sign) ? `\\${sign}` : sign;
}

const numbers = (...args: LuaValue[]): number[] => args.map(toNumber);
const library = (members: Readonly<Record<string, LuaFunction>>): LuaTable => {
  const table = new LuaTable();
  for (const [name, member] of Object.entries(members)) table.set(name, member);
  return table;
};

const tableOf = (value: LuaValue): LuaTable => {
  if (value instanceof LuaTable) return value;
  throw new Error(`bad argument: table expected, got ${describe(value)}`);
};

const iterate = (pairs: readonly (readonly [LuaValue, LuaValue])[]): LuaValue[] => {
  let at = 0;
  return [() => [...(pairs[at++] ?? [undefined])]];
};

/** What a script sees besides KEYS, ARGV and redis. */
export const GLOBALS: Readonly<Record<string, LuaValue>> = {
  tonumber: (value) => [readNumber(value)],
  tostring: (value) => [toText(value)],
  unpack: (table) => [...tableOf(table).list],
  type: (value) => [value === undefined ? 'nil' : value instanceof LuaTable ? 'table' : typeof value],
  ipairs: (table) => iterate(tableOf(table).list.map((value, i) => [i + 1, value] as const)),
  pairs: (table) =>
    iterate([...tableOf(table).list.map((value, i) => [i + 1, value] as const), ...tableOf(table).map.entries()]),
  math: library({
    floor: (value) => [Math.floor(toNumber(value))],
    ceil: (value) => [Math.ceil(toNumber(value))],
    min: (...args) => [Math.min(...numbers(...args))],
    max: (...args) => [Math.max(...numbers(...args))],
  }),
  string: library({
    sub: (text, from, to = -1) => [substring(toText(text), toNumber(from), toNumber(to))],
    match(text, pattern) {
      const match = patternOf(toText(pattern)).exec(toText(text));
      if (!match) return [undefined];
      return match.length > 1 ? match.slice(1) : [match[0]];
    },
    format(form, value) {
      if (form !== '%.0f') throw new Error(`the format ${toText(form)} is not known here`);
      return [toNumber(value).toFixed(0)];
    },
  }),
};

/** Positions count from 1, negative ones from the end. */
function substring(text: string, from: number, to: number): string {
  const at = (position: number): number => (position < 0 ? Math.max(text.length + position + 1, 0) : position);
  return text.slice(Math.max(at(from), 1) - 1, at(to));
}
