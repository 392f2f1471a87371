/** A simulated API server: FlashSales and one Lease, versions that grow, conflicts, finalizers, and watchers. */
import { ApiError } from '@flashsale/kube/api-error';
import type { Lease } from '@flashsale/kube/lease';
import type { KubeObject } from '@flashsale/kube/object';
import type { FlashSaleObject } from '@flashsale/operator/kube/resources';

type Watcher = (object: FlashSaleObject, gone: boolean) => void;

const refused = (code: number, reason: string): ApiError => new ApiError('the simulated API server', { code, reason });

export class ApiServer {
  #version = 0;
  #lease: Lease | undefined;
  readonly #sales = new Map<string, FlashSaleObject>();
  readonly #watchers = new Set<Watcher>();
  /** Called before each write of a status. */
  onStatus: (before: FlashSaleObject['status'], after: NonNullable<FlashSaleObject['status']>) => void = () =>
    undefined;

  sales(): FlashSaleObject[] {
    return [...this.#sales.values()];
  }

  sale(name: string): FlashSaleObject {
    const found = this.#sales.get(name);
    if (!found) throw refused(404, 'NotFound');
    return found;
  }

  watch(watcher: Watcher): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** What an owner does: a new document, or a changed one. */
  applySpec(name: string, spec: unknown): void {
    const known = this.#sales.get(name);
    const generation = (known?.metadata.generation ?? 0) + 1;
    const metadata = { ...known?.metadata, namespace: 'shop', name, uid: `uid-${name}`, generation };
    this.#put({ apiVersion: 'flashsale.dev/v1', kind: 'FlashSale', ...known, metadata, spec });
  }

  /** Refused (409) where the object is not of that version any more. */
  applyStatus(name: string, resourceVersion: string | undefined, status: unknown): FlashSaleObject {
    const known = this.#current(name, resourceVersion);
    const next = structuredClone(status) as NonNullable<FlashSaleObject['status']>;
    this.onStatus(known.status, next);
    return this.#put({ ...known, status: next });
  }

  /** As `applyStatus`. An object that is being deleted and has no finalizer left is gone. */
  setFinalizers(name: string, resourceVersion: unknown, finalizers: readonly string[]): FlashSaleObject {
    const known = this.#current(name, resourceVersion);
    const next = this.#put({ ...known, metadata: { ...known.metadata, finalizers } });
    if (next.metadata.deletionTimestamp !== undefined && finalizers.length === 0) {
      this.#sales.delete(name);
      for (const watcher of this.#watchers) watcher(next, true);
    }
    return next;
  }

  #current(name: string, resourceVersion: unknown): FlashSaleObject {
    const known = this.sale(name);
    if (resourceVersion !== known.metadata.resourceVersion) throw refused(409, 'Conflict');
    return known;
  }

  #put(object: FlashSaleObject): FlashSaleObject {
    const stored = this.#versioned(object);
    this.#sales.set(stored.metadata.name, stored);
    for (const watcher of this.#watchers) watcher(stored, false);
    return stored;
  }

  getLease(): Lease {
    if (!this.#lease) throw refused(404, 'NotFound');
    return this.#lease;
  }

  createLease(lease: Lease): Lease {
    if (this.#lease) throw refused(409, 'AlreadyExists');
    return (this.#lease = this.#versioned(lease));
  }

  replaceLease(lease: Lease): Lease {
    if (lease.metadata.resourceVersion !== this.getLease().metadata.resourceVersion) throw refused(409, 'Conflict');
    return (this.#lease = this.#versioned(lease));
  }

  #versioned<T extends KubeObject>(object: T): T {
    return { ...object, metadata: { ...object.metadata, resourceVersion: String(++this.#version) } };
  }
}
