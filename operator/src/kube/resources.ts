/** FlashSale resources on a Kubernetes API server: read from a reflector's cache, written by server-side apply. */
import { isNotFound, retryAfterOf } from '@flashsale/kube/api-error';
import type { Happening } from '@flashsale/kube/events';
import { addFinalizer, hasFinalizer, removeFinalizer } from '@flashsale/kube/finalizers';
import { compareVersions, keyOf, versionOf, type KubeObject, type Resource } from '@flashsale/kube/object';
import type { ResourceApi } from '@flashsale/kube/ports';
import type { Reflector } from '@flashsale/kube/reflector';
import type { ResourceName, SaleResource, SaleResources } from '../resources.ts';
import { newStatus, type SaleStatus } from '../status.ts';
import { happenings } from './happenings.ts';

export const FLASH_SALES: Resource = {
  group: 'flashsale.dev',
  version: 'v1',
  plural: 'flashsales',
  kind: 'FlashSale',
  namespaced: true,
};
/** Keeps a sale's resource until the sale was ended and its stock purged. */
export const FINALIZER = 'flashsale.dev/settle';

export interface FlashSaleObject extends KubeObject {
  readonly spec?: unknown;
  readonly status?: Partial<SaleStatus>;
}

export interface KubeResourcesOptions {
  readonly api: ResourceApi<FlashSaleObject>;
  readonly cache: Pick<Reflector<FlashSaleObject>, 'store' | 'subscribe' | 'restart'>;
  /** Tells of an object; must not throw. */
  readonly emit: (object: FlashSaleObject, happening: Happening) => void;
}

/** Throws ApiError where the server refuses; 409 where the resource is not as it was listed. */
export function kubeResources(options: KubeResourcesOptions): SaleResources {
  return new KubeResources(options);
}

class KubeResources implements SaleResources {
  readonly #options: KubeResourcesOptions;
  readonly #listeners = new Set<(changed: ResourceName) => void>();
  /** What the server answered to our own writes, by key, until the cache has come as far. */
  readonly #ahead = new Map<string, FlashSaleObject>();
  /** Made once of each object, since passes are many and changes few. */
  #resources = new WeakMap<FlashSaleObject, SaleResource>();
  /** The object that a listed resource was made of, or what our last write for it has made of that. */
  readonly #objects = new WeakMap<SaleResource, FlashSaleObject>();
  /** Objects that are cached, and that the server did not have at a write. */
  readonly #gone = new WeakSet<FlashSaleObject>();

  constructor(options: KubeResourcesOptions) {
    this.#options = options;
    options.cache.subscribe({
      added: (object) => this.#tell(object),
      modified: (object, old) => {
        // A cluster that was restored from a backup goes back in time: so do we, and its status is an old one.
        const isRestored = isNewer(old, object);
        if (isRestored) this.#ahead.delete(keyOf(object));
        if (isRestored || isOwnersChange(object, old)) this.#tell(object);
      },
      deleted: (object) => {
        this.#ahead.delete(keyOf(object));
        this.#tell(object);
      },
    });
  }

  list(): Promise<SaleResource[]> {
    const { store } = this.#options.cache;
    for (const key of this.#ahead.keys()) if (!store.get(key)) this.#ahead.delete(key);
    const newest = [...store.values()].map((cached) => this.#newest(cached));
    return Promise.resolve(newest.filter(isOurs).map((object) => this.#read(object)));
  }

  get({ namespace, name }: ResourceName): Promise<SaleResource | undefined> {
    const key = keyOf({ metadata: { namespace, name } });
    const cached = this.#options.cache.store.get(key);
    if (!cached) this.#ahead.delete(key);
    const newest = cached && this.#newest(cached);
    return Promise.resolve(newest && isOurs(newest) ? this.#read(newest) : undefined);
  }

  watch(onChange: (changed: ResourceName) => void): () => void {
    this.#listeners.add(onChange);
    return () => this.#listeners.delete(onChange);
  }

  async claim(resource: SaleResource): Promise<void> {
    const object = this.#objectOf(resource);
    // None can be added to what is being deleted.
    if (isDeleting(object) || hasFinalizer(object, FINALIZER)) return;
    await this.#write(resource, () => addFinalizer(this.#options.api, object, FINALIZER));
  }

  async writeStatus(resource: SaleResource, status: SaleStatus): Promise<void> {
    const { api, emit } = this.#options;
    const object = this.#objectOf(resource);
    const { name, namespace = '', resourceVersion = '' } = object.metadata;
    const metadata = { name, namespace, resourceVersion };
    await this.#write(resource, () => api.apply({ metadata, status }, { subresource: 'status' }));
    for (const happening of happenings(object.status, status)) emit(this.#objectOf(resource), happening);
  }

  async remove(resource: SaleResource): Promise<void> {
    const { api } = this.#options;
    const object = this.#objectOf(resource);
    try {
      await this.#write(resource, () => removeFinalizer(api, object, FINALIZER));
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  /** Writes on from what was listed. After a failure the server is asked what is so: the cache may not know for long. */
  async #write(resource: SaleResource, write: () => Promise<FlashSaleObject>): Promise<void> {
    const before = this.#objectOf(resource);
    try {
      const after = await write();
      this.#objects.set(resource, after);
      this.#learn(after);
    } catch (error) {
      this.#resources.delete(before);
      // A server that asks to wait has written nothing, and is not to be asked.
      if (retryAfterOf(error) === 0) await this.#refresh(before);
      throw error;
    }
  }

  async #refresh(before: FlashSaleObject): Promise<void> {
    try {
      const found = await this.#options.api.get(before.metadata);
      if (isNewer(before, found)) this.#wentBack(before);
      else this.#learn(found);
    } catch (error) {
      if (!isNotFound(error)) return;
      // Deleted a moment ago; or, where the watch still says nothing of it, it never was there.
      if (this.#gone.has(before)) this.#wentBack(before);
      else this.#gone.add(before);
    }
  }

  /** A cluster that was restored from a backup: what is cached is not so any more, and the watch may never say so. */
  #wentBack(object: FlashSaleObject): void {
    this.#ahead.delete(keyOf(object));
    this.#options.cache.restart();
  }

  #learn(object: FlashSaleObject): void {
    const key = keyOf(object);
    const known = this.#ahead.get(key);
    if (!known || isNewer(object, known)) this.#ahead.set(key, object);
  }

  #newest(cached: FlashSaleObject): FlashSaleObject {
    const key = keyOf(cached);
    const ahead = this.#ahead.get(key);
    if (ahead && isNewer(ahead, cached)) return ahead;
    this.#ahead.delete(key);
    return cached;
  }

  #read(object: FlashSaleObject): SaleResource {
    const known = this.#resources.get(object);
    if (known) return known;
    const { name, namespace = '', generation = 0 } = object.metadata;
    const document = { apiVersion: object.apiVersion, kind: object.kind, metadata: { name, namespace } };
    const resource: SaleResource = {
      namespace,
      name,
      text: JSON.stringify({ ...document, spec: object.spec }),
      status: object.status && { ...newStatus, ...object.status },
      deleting: isDeleting(object),
      generation,
    };
    this.#resources.set(object, resource);
    this.#objects.set(resource, object);
    return resource;
  }

  #objectOf(resource: SaleResource): FlashSaleObject {
    const object = this.#objects.get(resource);
    if (!object) throw new Error(`${resource.namespace}/${resource.name} was not listed here`);
    return object;
  }

  #tell({ metadata: { name, namespace = '' } }: FlashSaleObject): void {
    for (const listener of this.#listeners) listener({ namespace, name });
  }
}

/** Of two states: versions are comparable within a kind, whichever object of a name they are of. */
function isNewer(one: FlashSaleObject, other: FlashSaleObject): boolean {
  return compareVersions(versionOf(one), versionOf(other)) > 0;
}

const isDeleting = ({ metadata }: FlashSaleObject): boolean => metadata.deletionTimestamp !== undefined;

/** Nothing was done for one that is deleted without our finalizer, or all was undone. */
function isOurs(object: FlashSaleObject): boolean {
  return !isDeleting(object) || hasFinalizer(object, FINALIZER);
}

/** Not one of ours: status and finalizer are written by the operator itself. */
function isOwnersChange(object: FlashSaleObject, old: FlashSaleObject): boolean {
  return object.metadata.generation !== old.metadata.generation || isDeleting(object) !== isDeleting(old);
}
