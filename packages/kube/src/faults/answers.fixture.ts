/** What an API server answers to a request that is not a watch, by REST over its storage. */
import type { JsonPatch } from '../ports.ts';
import { merged, patched } from './patch.fixture.ts';
import { Refusal, type Storage, type Stored } from './storage.fixture.ts';

export interface Target {
  readonly plural: string;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
}

export interface Sent {
  readonly method: string;
  readonly target: Target;
  readonly query: URLSearchParams;
  readonly contentType: string;
  readonly body: string;
}

/** Throws Refusal. */
export function answerTo(storage: Storage, sent: Sent): unknown {
  const { plural, namespace, name } = sent.target;
  const act = ACTS[sent.method];
  if (!act) throw new Refusal(405, 'MethodNotAllowed');
  return act(storage, sent, plural, namespace === undefined ? (name ?? '') : `${namespace}/${name ?? ''}`);
}

type Act = (storage: Storage, sent: Sent, plural: string, key: string) => unknown;

const ACTS: Readonly<Record<string, Act>> = {
  GET: (storage, sent, plural, key) => {
    if (sent.target.name === undefined) return list(storage, sent);
    const found = storage.find(plural, key);
    if (!found) throw new Refusal(404, 'NotFound', `${key} is not there`);
    return found;
  },
  POST: (storage, sent, plural) => storage.create(plural, objectOf(sent)),
  DELETE: (storage, _sent, plural, key) => {
    storage.remove(plural, key);
    return { kind: 'Status', status: 'Success' };
  },
  PUT: (storage, sent, plural, key) => storage.change(plural, key, partOf(sent), () => objectOf(sent)),
  PATCH: (storage, sent, plural, key) => {
    const applies = sent.contentType.includes('apply-patch');
    if (applies && !storage.find(plural, key)) return storage.create(plural, objectOf(sent));
    return storage.change(plural, key, partOf(sent), (copy) => edited(copy, sent, applies));
  },
};

function list(storage: Storage, { target, query }: Sent): unknown {
  const { plural, namespace } = target;
  const page = storage.page(plural, namespace, Number(query.get('limit') ?? 0), query.get('continue') ?? '');
  return { items: page.items, metadata: { resourceVersion: page.resourceVersion, continue: page.continue } };
}

function edited(copy: Stored, sent: Sent, applies: boolean): Stored {
  const body: unknown = JSON.parse(sent.body);
  if (sent.contentType.includes('json-patch')) return patched(copy, body as JsonPatch[]) as Stored;
  // A status is wholly its writer's: what it does not name goes.
  const from = applies && partOf(sent) === 'status' ? { ...copy, status: undefined } : copy;
  return merged(from, body) as Stored;
}

const partOf = ({ target }: Sent): 'main' | 'status' => (target.subresource === 'status' ? 'status' : 'main');

function objectOf({ body, target: { namespace } }: Sent): Stored {
  const object = JSON.parse(body) as Stored;
  return namespace === undefined ? object : { ...object, metadata: { ...object.metadata, namespace } };
}
