/** For each rule that the schema of the CRD states by its keywords a value that breaks it, and what the API server says. */

export interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly format?: string;
  readonly enum?: readonly string[];
  readonly pattern?: string;
  readonly required?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean;
}

/** A good value, and one that breaks a rule of its schema. */
export interface Breach {
  /** Where in the document, as a path of members and indices. */
  readonly path: readonly (string | number)[];
  readonly keyword: string;
  /** Undefined: the member is absent. */
  readonly value: unknown;
  readonly words: RegExp;
}

type Path = Breach['path'];
type Breaker = (schema: Schema, good: unknown) => { readonly value: unknown; readonly words: RegExp } | undefined;

const escaped = (text: string): RegExp => new RegExp(text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'));
const list = (good: unknown): Record<string, unknown>[] => good as Record<string, unknown>[];

/** By keyword; `required` and unknown members are the object's own. */
const BREAKERS: Readonly<Record<string, Breaker>> = {
  type: ({ type = '', format }) => ({
    value: type === 'string' ? 5 : 'text',
    words: new RegExp(`must be of type ${format === 'date-time' ? format : type}: "(integer|int64|string)"`),
  }),
  'format date-time': ({ format }) =>
    format === 'date-time' ? { value: 'soon', words: /must be of type date-time: "soon"/ } : undefined,
  enum: (schema) =>
    schema.enum && {
      value: 'Other',
      words: escaped(
        `Unsupported value: "Other": supported values: ${schema.enum.map((one) => `"${one}"`).join(', ')}`,
      ),
    },
  pattern: ({ pattern }) =>
    pattern === undefined ? undefined : { value: ' ', words: escaped(`in body should match '${pattern}'`) },
  minimum: ({ minimum }) =>
    minimum === undefined
      ? undefined
      : { value: minimum - 1, words: escaped(`in body should be greater than or equal to ${minimum}`) },
  maximum: ({ maximum }) =>
    maximum === undefined
      ? undefined
      : { value: maximum + 1, words: escaped(`in body should be less than or equal to ${maximum}`) },
  minLength: ({ minLength }) =>
    minLength === undefined
      ? undefined
      : { value: 'a'.repeat(minLength - 1), words: escaped(`in body should be at least ${minLength} chars long`) },
  maxLength: ({ maxLength }) =>
    maxLength === undefined
      ? undefined
      : { value: 'a'.repeat(maxLength + 1), words: escaped(`Too long: may not be more than ${maxLength} bytes`) },
  minItems: ({ minItems }) =>
    minItems === undefined
      ? undefined
      : { value: [], words: escaped(`in body should have at least ${minItems} items`) },
  maxItems: ({ maxItems, 'x-kubernetes-list-map-keys': keys = [] }, good) => {
    if (maxItems === undefined) return undefined;
    const [first = {}] = list(good);
    const others = Object.fromEntries(keys.map((key) => [key, '']));
    const value = Array.from({ length: maxItems + 1 }, (_, i) => ({
      ...first,
      ...Object.fromEntries(Object.keys(others).map((key) => [key, `n${i}`])),
    }));
    return { value, words: escaped(`Too many: ${maxItems + 1}: must have at most ${maxItems} items`) };
  },
  'list map': ({ 'x-kubernetes-list-map-keys': keys }, good) =>
    keys && { value: [...list(good), list(good)[0]], words: /Duplicate value: / },
};

/** Every rule of `schema` and of what is in it, with a value that breaks it. `good` has every member of the schema. */
export function* breaches(schema: Schema, good: unknown, path: Path = []): Generator<Breach> {
  if (good === undefined) throw new Error(`${path.join('.')}: the good document lacks it`);
  for (const [keyword, breaker] of Object.entries(BREAKERS)) {
    const found = breaker(schema, good);
    if (found) yield { path, keyword, ...found };
  }
  if (schema.properties) yield* ofMembers(schema, schema.properties, good, path);
  if (schema.items) yield* breaches(schema.items, list(good)[0], [...path, 0]);
}

function* ofMembers(
  { required = [], 'x-kubernetes-preserve-unknown-fields': open }: Schema,
  properties: Readonly<Record<string, Schema>>,
  good: unknown,
  path: Path,
): Generator<Breach> {
  for (const name of required) {
    yield { path: [...path, name], keyword: 'required', value: undefined, words: /^Required value$/ };
  }
  if (open !== true) {
    yield { path: [...path, 'colour'], keyword: 'no other member', value: 'red', words: /unknown field ".*\bcolour"/ };
  }
  const members = good as Readonly<Record<string, unknown>>;
  for (const [name, child] of Object.entries(properties)) yield* breaches(child, members[name], [...path, name]);
}

/** The document with the value at the end of the path. */
export function broken(document: object, { path, value }: Breach): object {
  const copy = structuredClone(document);
  let part = copy as Record<string | number, unknown>;
  for (const step of path.slice(0, -1)) part = part[step] as typeof part;
  const last = path.at(-1) ?? '';
  if (value === undefined) Reflect.deleteProperty(part, last);
  else part[last] = value;
  return copy;
}

/** As the API server writes a path. */
export function fieldOf(path: Path): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === 'number') return `${text}[${step}]`;
    return text === '' ? step : `${text}.${step}`;
  }, '');
}
