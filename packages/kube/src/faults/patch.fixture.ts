/** The patches that an API server takes, as far as the engine sends them. */
import type { JsonPatch } from '../ports.ts';
import { Refusal } from './storage.fixture.ts';

type Json = Record<string, unknown>;
const isJson = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);

/** RFC 7386. */
export function merged(target: unknown, patch: unknown): unknown {
  if (!isJson(patch)) return patch;
  const result: Json = isJson(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) Reflect.deleteProperty(result, key);
    else result[key] = merged(result[key], value);
  }
  return result;
}

/** RFC 6902, members of objects only. */
export function patched(target: unknown, patch: readonly JsonPatch[]): unknown {
  for (const operation of patch) {
    const names = operation.path.split('/').slice(1);
    const last = names.pop() ?? '';
    const parent = names.reduce((at: unknown, name) => (isJson(at) ? at[name] : undefined), target);
    if (!isJson(parent)) throw new Refusal(422, 'Invalid', `there is no ${operation.path}`);
    if (operation.op === 'remove') Reflect.deleteProperty(parent, last);
    else if (operation.op !== 'test') parent[last] = operation.value;
  }
  return target;
}
