/**
 * Compiles the Lua of the real scripts to JavaScript, once a script: an interpreter would take most of a seed's time.
 * It knows the part of Lua 5.1 that the scripts use and refuses the rest by name.
 */
import { compileFunction } from 'node:vm';
import luaparse from 'luaparse';
import type { Chunk, Expression, FunctionDeclaration, Identifier, Statement } from 'luaparse';
import {
  call,
  GLOBALS,
  index,
  isLess,
  isTrue,
  lengthOf,
  LuaTable,
  toNumber,
  toText,
  type LuaFunction,
  type LuaValue,
} from './lua-values.ts';

/** Runs a script: KEYS, ARGV and `redis.call`. Returns what the script returned first. */
export type CompiledScript = (keys: LuaTable, args: LuaTable, redisCall: LuaFunction) => LuaValue;

/** What the compiled text calls. */
const RUNTIME = { call, index, isLess, isTrue, lengthOf, LuaTable, toNumber, toText, globals: GLOBALS } as const;

/** Throws where the script uses something of Lua that is not known here. */
export function compileLua(text: string): CompiledScript {
  const chunk: Chunk = luaparse.parse(text, { luaVersion: '5.1', scope: true, encodingMode: 'pseudo-latin1' });
  const body = block(chunk.body);
  const source = `const { ${Object.keys(RUNTIME).join(', ')} } = runtime;\n${body}\nreturn [];`;
  const run = compileFunction(source, ['runtime', '$KEYS', '$ARGV', '$redis']) as (
    runtime: typeof RUNTIME,
    keys: LuaTable,
    args: LuaTable,
    redis: LuaTable,
  ) => LuaValue[];
  return (keys, args, redisCall) => {
    const redis = new LuaTable();
    redis.set('call', redisCall);
    return run(RUNTIME, keys, args, redis)[0];
  };
}

const GIVEN = new Set(['KEYS', 'ARGV', 'redis']);

function unknown(what: string): never {
  throw new Error(`the Lua of the scripts has ${what}, which the simulation does not know`);
}

const block = (statements: readonly Statement[]): string => statements.map(statement).join('\n');

let temporaries = 0;
const temporary = (): string => `t${temporaries++}`;

function statement(node: Statement): string {
  switch (node.type) {
    case 'LocalStatement':
      return assign(
        node.variables.map(({ name }) => `$${name}`),
        node.init,
        'let ',
      );
    case 'AssignmentStatement':
      return assignment(node.variables, node.init);
    case 'CallStatement':
      return `${multi(node.expression)};`;
    case 'ReturnStatement':
      return `return ${list(node.arguments)};`;
    case 'FunctionDeclaration':
      return `let $${nameOf(node)} = ${functionOf(node)};`;
    case 'DoStatement':
      return `{ ${block(node.body)} }`;
    case 'BreakStatement':
      return 'break;';
    default:
      return compound(node);
  }
}

function compound(node: Statement): string {
  switch (node.type) {
    case 'IfStatement':
      return node.clauses
        .map((clause) => {
          const head = clause.type === 'ElseClause' ? '' : `if (isTrue(${single(clause.condition)})) `;
          return `${head}{ ${block(clause.body)} }`;
        })
        .join(' else ');
    case 'WhileStatement':
      return `while (isTrue(${single(node.condition)})) { ${block(node.body)} }`;
    case 'ForNumericStatement': {
      const [counter, end, step] = [temporary(), temporary(), temporary()];
      const head = `let ${counter} = toNumber(${single(node.start)}), ${end} = toNumber(${single(node.end)}), ${step} = ${node.step ? `toNumber(${single(node.step)})` : '1'}`;
      const test = `${step} > 0 ? ${counter} <= ${end} : ${counter} >= ${end}`;
      return `for (${head}; ${test}; ${counter} += ${step}) { let $${node.variable.name} = ${counter}; ${block(node.body)} }`;
    }
    case 'ForGenericStatement':
      return forGeneric(node);
    default:
      return unknown(`a ${node.type}`);
  }
}

function forGeneric(node: Extract<Statement, { type: 'ForGenericStatement' }>): string {
  const [next, values] = [temporary(), temporary()];
  const names = node.variables.map(({ name }) => `$${name}`);
  const bind = names.map((name, i) => `let ${name} = ${values}[${i}];`).join(' ');
  const head = `const ${next} = ${list(node.iterators)}[0];`;
  const step = `const ${values} = call(${next}, []); if (${values}[0] === undefined) break; ${bind}`;
  return `{ ${head} for (;;) { ${step} ${block(node.body)} } }`;
}

function assignment(targets: readonly Expression[], init: readonly Expression[]): string {
  const names = targets.map((target) => (target.type === 'Identifier' ? variable(target.name) : undefined));
  if (names.every((name) => name !== undefined)) return assign(names, init, '');
  const values = temporary();
  const sets = targets.map((target, i) => {
    if (target.type === 'Identifier') return `${variable(target.name)} = ${values}[${i}];`;
    return `${setter(target)}, ${values}[${i}]);`;
  });
  return `{ const ${values} = ${list(init)}; ${sets.join(' ')} }`;
}

function setter(target: Expression): string {
  if (target.type === 'IndexExpression') return `${single(target.base)}.set(${single(target.index)}`;
  if (target.type === 'MemberExpression') return `${single(target.base)}.set(${JSON.stringify(target.identifier.name)}`;
  return unknown(`an assignment to a ${target.type}`);
}

function assign(names: readonly string[], init: readonly Expression[], keyword: string): string {
  const [name] = names;
  if (names.length === 1 && init.length <= 1) {
    return `${keyword}${name} = ${init[0] ? single(init[0]) : 'undefined'};`;
  }
  return `${keyword}[${names.join(', ')}] = ${list(init)};`;
}

function nameOf(node: FunctionDeclaration): string {
  if (node.identifier?.type !== 'Identifier') return unknown('a function that is a member');
  return node.identifier.name;
}

function functionOf(node: FunctionDeclaration): string {
  const parameters = node.parameters.map((one) => (one.type === 'Identifier' ? `$${one.name}` : unknown('varargs')));
  return `(${parameters.join(', ')}) => { ${block(node.body)} return []; }`;
}

/** Several expressions as an array; only the last may stand for several values. */
function list(expressions: readonly Expression[]): string {
  const last = expressions.at(-1);
  if (last?.type === 'CallExpression') {
    const before = expressions.slice(0, -1).map(single);
    return before.length === 0 ? multi(last) : `[${before.join(', ')}, ...${multi(last)}]`;
  }
  return `[${expressions.map(single).join(', ')}]`;
}

function multi(node: Expression): string {
  if (node.type !== 'CallExpression') return unknown(`a call in the form ${node.type}`);
  return `call(${single(node.base)}, ${list(node.arguments)})`;
}

const variable = (name: string): string => `$${name}`;

function single(node: Expression): string {
  switch (node.type) {
    case 'NumericLiteral':
    case 'BooleanLiteral':
      return String(node.value);
    case 'StringLiteral':
      return JSON.stringify(node.value);
    case 'NilLiteral':
      return 'undefined';
    case 'Identifier':
      return identifier(node);
    case 'CallExpression':
      return `${multi(node)}[0]`;
    case 'IndexExpression':
      return `index(${single(node.base)}, ${single(node.index)})`;
    case 'MemberExpression':
      return `index(${single(node.base)}, ${JSON.stringify(node.identifier.name)})`;
    case 'FunctionDeclaration':
      return functionOf(node);
    default:
      return operation(node);
  }
}

/** The parser marks locals (`scope`); its types do not say so. */
function identifier({ name, isLocal = false }: Identifier & { readonly isLocal?: boolean }): string {
  if (isLocal || GIVEN.has(name)) return `$${name}`;
  if (!(name in GLOBALS)) return unknown(`the global ${name}`);
  return `globals[${JSON.stringify(name)}]`;
}

function operation(node: Expression): string {
  switch (node.type) {
    case 'TableConstructorExpression':
      return constructor(node);
    case 'LogicalExpression': {
      const [left, value] = [single(node.left), temporary()];
      const test = node.operator === 'and' ? `!isTrue(${value})` : `isTrue(${value})`;
      return `((${value}) => ${test} ? ${value} : ${single(node.right)})(${left})`;
    }
    case 'UnaryExpression':
      return unary(node.operator, single(node.argument));
    case 'BinaryExpression':
      return binary(node.operator, single(node.left), single(node.right));
    default:
      return unknown(`a ${node.type}`);
  }
}

function constructor({ fields }: Extract<Expression, { type: 'TableConstructorExpression' }>): string {
  const values = fields.flatMap((field) => (field.type === 'TableValue' ? [field.value] : []));
  const sets = fields.flatMap((field) => {
    if (field.type === 'TableKeyString') return [`.with(${JSON.stringify(field.key.name)}, ${single(field.value)})`];
    return field.type === 'TableKey' ? unknown('a computed key in a table') : [];
  });
  if (sets.length === 0) return `new LuaTable(${list(values)})`;
  return `new LuaTable(${list(values)})${sets.join('')}`;
}

function unary(operator: string, value: string): string {
  if (operator === 'not') return `!isTrue(${value})`;
  if (operator === '-') return `(-toNumber(${value}))`;
  return operator === '#' ? `lengthOf(${value})` : unknown(`the operator ${operator}`);
}

const ARITHMETIC: readonly string[] = ['+', '-', '*', '/'];
const COMPARISONS: Readonly<Record<string, (left: string, right: string) => string>> = {
  '==': (left, right) => `(${left} === ${right})`,
  '~=': (left, right) => `(${left} !== ${right})`,
  '<': (left, right) => `isLess(${left}, ${right})`,
  '>': (left, right) => `isLess(${right}, ${left})`,
  '<=': (left, right) => `!isLess(${right}, ${left})`,
  '>=': (left, right) => `!isLess(${left}, ${right})`,
};

function binary(operator: string, left: string, right: string): string {
  if (ARITHMETIC.includes(operator)) return `(toNumber(${left}) ${operator} toNumber(${right}))`;
  if (operator === '..') return `(toText(${left}) + toText(${right}))`;
  const compare = COMPARISONS[operator];
  return compare ? compare(left, right) : unknown(`the operator ${operator}`);
}
