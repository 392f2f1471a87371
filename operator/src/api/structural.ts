/**
 * zod to a structural OpenAPI v3 schema, as Kubernetes takes it:
 * https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
 */
import { z } from 'zod';

/** A schema, as much of it as is looked at here. */
interface Schema {
  readonly [member: string]: unknown;
  readonly type?: string;
  readonly description?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
}

const INT32 = 2_147_483_647;

/** What may stand in a schema; `x-kubernetes-*` besides. Everything else is a mistake of ours, but for what is dropped. */
const KEPT = new Set([
  ...['type', 'format', 'description', 'default', 'enum', 'pattern', 'required', 'properties', 'items'],
  ...['minimum', 'maximum', 'minLength', 'maxLength', 'minItems', 'maxItems'],
]);
const DROPPED = new Set(['$schema', 'id', 'readOnly']);

/**
 * The schema of what users write: members with a default are not required. Unknown members are the API server's to
 * prune, or to refuse where the client asks for strict validation, as kubectl does. Throws, naming the part, where zod
 * says what a CRD cannot, and where a part has no description.
 */
export function structural(schema: z.ZodType): Schema {
  return convert(z.toJSONSchema(schema, { io: 'input', target: 'openapi-3.0', unrepresentable: 'any' }) as Schema, '');
}

function convert(found: Schema, path: string): Schema {
  const made: Schema = Object.fromEntries(Object.entries(found).filter((entry) => isKept(entry, path)));
  const where = path === '' ? 'the schema' : path;
  if (made.type === undefined) throw new Error(`${where}: a structural schema needs one type`);
  if (made.description === undefined) throw new Error(`${where}: describe it`);
  return { ...made, ...formatOf(made), ...children(made, path) };
}

function isKept([member, value]: readonly [string, unknown], path: string): boolean {
  if (value === undefined || DROPPED.has(member) || (member === 'additionalProperties' && value === false))
    return false;
  if (KEPT.has(member) || member.startsWith('x-kubernetes-')) return true;
  throw new Error(`${path}.${member} cannot stand in a structural schema`);
}

/** Clients in other languages choose their types by it. */
function formatOf({ type, minimum = -Infinity, maximum = Infinity }: Schema): { format?: string } {
  if (type === 'number') return { format: 'double' };
  if (type !== 'integer') return {};
  return { format: minimum >= -INT32 && maximum <= INT32 ? 'int32' : 'int64' };
}

function children({ properties, items }: Schema, path: string): Pick<Schema, 'properties' | 'items'> {
  const named = Object.entries(properties ?? {}).map(([name, child]) => [name, convert(child, `${path}.${name}`)]);
  return {
    ...(properties && { properties: Object.fromEntries(named) as Record<string, Schema> }),
    ...(items && { items: convert(items, `${path}[*]`) }),
  };
}
