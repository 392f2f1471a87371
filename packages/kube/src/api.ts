/** Kubernetes resources over HTTP: lists, watches, writes, server-side apply; each call has a deadline. */
import { apiVersionOf, type KubeObject, type ObjectName, type Resource } from './object.ts';
import type { ListQuery, Page, PatchType, ResourceApi, Selection, WatchEvent, WriteOptions } from './ports.ts';
import { createTransport, type Call, type ClusterAccess, type Transport } from './transport.ts';

const DEADLINE_MS = 10_000;
const PATCHES: Readonly<Record<PatchType, string>> = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  apply: 'application/apply-patch+yaml',
};

export interface KubeClientOptions {
  /** The official client's KubeConfig, or what `loadAccess` of `access.ts` gives. */
  readonly config: ClusterAccess;
  /** Owner of the fields that this client writes: one name for all processes that do the same work. */
  readonly fieldManager: string;
  /** Longest time of one call, ms; 10 s where absent. Watches live longer, see the reflector. */
  readonly deadlineMs?: number;
}

export interface KubeClient {
  resource<T extends KubeObject>(resource: Resource): ResourceApi<T>;
  /** Any other path of the API, as `/version` or `/apis/…/scale`. */
  call<T>(call: Call): Promise<T>;
  close(): Promise<void>;
}

export function createKubeClient(options: KubeClientOptions): KubeClient {
  const { fieldManager, deadlineMs = DEADLINE_MS } = options;
  const transport = createTransport(options.config, fieldManager);
  const call = <T>(request: Call, signal?: AbortSignal): Promise<T> => {
    const deadline = AbortSignal.timeout(deadlineMs);
    return transport.json(request, signal === undefined ? deadline : AbortSignal.any([signal, deadline]));
  };
  return {
    resource: <T extends KubeObject>(resource: Resource) => resourceApi<T>(resource, fieldManager, transport, call),
    call: (request) => call(request),
    close: () => transport.close(),
  };
}

interface List<T> {
  readonly items?: readonly T[];
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
}

function resourceApi<T extends KubeObject>(
  resource: Resource,
  fieldManager: string,
  transport: Transport,
  call: <A>(call: Call, signal?: AbortSignal) => Promise<A>,
): ResourceApi<T> {
  const apiVersion = apiVersionOf(resource);
  const typed = { apiVersion, kind: resource.kind };
  const root = resource.group === '' ? `/api/${apiVersion}` : `/apis/${apiVersion}`;
  const path = (namespace: string | undefined, ...rest: readonly (string | undefined)[]): string => {
    const scope = resource.namespaced && namespace !== undefined ? ['namespaces', namespace] : [];
    const parts = [...scope, resource.plural, ...rest.filter((part) => part !== undefined)];
    return [root, ...parts.map(encodeURIComponent)].join('/');
  };
  const at = (name: ObjectName, options?: WriteOptions): string =>
    path(name.namespace, name.name, options?.subresource);
  const patch = (type: PatchType, name: ObjectName, body: unknown, options?: WriteOptions): Promise<T> => {
    const force = type === 'apply' ? { force: 'true' } : {};
    return call({
      method: 'PATCH',
      path: at(name, options) + query({ fieldManager, ...force }),
      body,
      contentType: PATCHES[type],
    });
  };
  return {
    list: async (selection, signal) => {
      const list = await call<List<T>>(
        { method: 'GET', path: path(selection.namespace) + listQuery(selection) },
        signal,
      );
      return page(list, typed);
    },
    watch: (selection, signal, heard) => {
      const { namespace, resourceVersion, timeoutSeconds } = selection;
      const watching = { watch: 'true', allowWatchBookmarks: 'true', resourceVersion, timeoutSeconds };
      const target = path(namespace) + query({ ...selectors(selection), ...watching });
      return transport.stream<WatchEvent<T>>({ method: 'GET', path: target }, signal, heard);
    },
    get: (name, options) => call({ method: 'GET', path: at(name, options) }),
    create: (object) =>
      call({
        method: 'POST',
        path: path(object.metadata.namespace) + query({ fieldManager }),
        body: { ...typed, ...object },
      }),
    replace: (object, options) =>
      call({
        method: 'PUT',
        path: at(object.metadata, options) + query({ fieldManager }),
        body: { ...typed, ...object },
      }),
    jsonPatch: (name, operations, options) => patch('json', name, operations, options),
    mergePatch: (name, body, options) => patch('merge', name, body, options),
    apply: (object, options) => patch('apply', object.metadata, { ...typed, ...object }, options),
    remove: async (name, preconditions) => {
      const body = preconditions === undefined ? {} : { body: { preconditions } };
      await call({ method: 'DELETE', path: at(name), ...body });
    },
  };
}

/** Items of a list come without the type that each of them has in a watch. */
function page<T extends KubeObject>(list: List<T>, typed: Pick<KubeObject, 'apiVersion' | 'kind'>): Page<T> {
  const next = list.metadata?.continue;
  return {
    items: (list.items ?? []).map((item) => ({ ...typed, ...item })),
    resourceVersion: list.metadata?.resourceVersion ?? '',
    ...(next === undefined || next === '' ? {} : { continue: next }),
  };
}

function listQuery(selection: ListQuery): string {
  return query({ ...selectors(selection), limit: selection.limit, continue: selection.continue });
}

function selectors({ labelSelector, fieldSelector }: Selection): Record<string, string | undefined> {
  return { labelSelector, fieldSelector };
}

function query(values: Readonly<Record<string, string | number | undefined>>): string {
  const present = Object.entries(values).filter(([, value]) => value !== undefined);
  const search = new URLSearchParams(present.map(([key, value]): [string, string] => [key, String(value)]));
  return present.length === 0 ? '' : `?${search.toString()}`;
}
