/** FlashSales over a server whose watch is late: no pass reads an older status than it wrote, and no edit is lost. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '@flashsale/kube/api-error';
import type { Happening } from '@flashsale/kube/events';
import type { JsonPatch, ResourceApi } from '@flashsale/kube/ports';
import { Store } from '@flashsale/kube/store';
import fc from 'fast-check';
import type { SaleResource, SaleResources } from '../resources.ts';
import { newStatus } from '../status.ts';
import { FINALIZER, kubeResources, type FlashSaleObject } from './resources.ts';

const NAME = { namespace: 'shop', name: 'drop' };
type Meta = FlashSaleObject['metadata'];

/** One resource on a server, and a cache that hears of it only when it is delivered. */
class Server {
  object: FlashSaleObject | undefined;
  readonly #events: { type: 'put' | 'remove'; object: FlashSaleObject }[] = [];
  store = new Store<FlashSaleObject>((error) => assert.fail(String(error)));
  told: string[] = [];
  #version = 10;
  #uids = 0;
  /** Carries out the next write, but fails it. */
  loseAnswer = false;
  /** How often the cache was asked to list anew. */
  restarts = 0;

  create(): void {
    const uid = `uid-${++this.#uids}`;
    this.#save({
      apiVersion: 'flashsale.dev/v1',
      kind: 'FlashSale',
      metadata: { ...NAME, uid, generation: 1 },
      spec: 1,
    });
  }

  edit(): void {
    if (!this.object) return;
    const { metadata, spec } = this.object;
    const generation = (metadata.generation ?? 0) + 1;
    this.#save({ ...this.object, metadata: { ...metadata, generation }, spec: Number(spec) + 1 });
  }

  delete(): void {
    if (!this.object) return;
    const { metadata } = this.object;
    this.#save({ ...this.object, metadata: { ...metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } });
  }

  /** Goes back to a state of before, of which no watch tells. */
  restore(backup: FlashSaleObject | undefined): void {
    this.object = structuredClone(backup);
    this.#version = Number(backup?.metadata.resourceVersion ?? 1);
    this.#events.length = 0;
  }

  /** The next `count` events reach the cache. */
  deliver(count: number): void {
    for (const { type, object } of this.#events.splice(0, count)) this.store[type](object);
  }

  /** An operator that has just started: it lists. */
  start(): SaleResources {
    this.#events.length = 0;
    this.store = new Store<FlashSaleObject>((error) => assert.fail(String(error)));
    if (this.object) this.store.put(this.object);
    const restart = (): void => {
      this.restarts += 1;
      this.#events.length = 0;
      this.store.replace(this.object ? [this.object] : []);
    };
    const cache = { store: this.store, subscribe: this.store.subscribe.bind(this.store), restart };
    const emit = (_object: FlashSaleObject, { reason }: Happening): void => void this.told.push(reason);
    return kubeResources({ api: this.api, cache, emit });
  }

  readonly api = {
    get: () => (this.object ? Promise.resolve(this.object) : Promise.reject(refusal(404))),
    apply: ({ metadata, status }: { metadata: Meta; status: FlashSaleObject['status'] }) =>
      this.#guarded(metadata.resourceVersion, (object) => ({ ...object, ...(status ? { status } : {}) })),
    jsonPatch: (_name: unknown, [guard, change]: readonly JsonPatch[]) => {
      assert.ok(guard?.op === 'replace' && change?.op === 'add');
      const finalizers = change.value as string[];
      return this.#guarded(guard.value as string, (object) => ({
        ...object,
        metadata: { ...object.metadata, finalizers },
      }));
    },
  } as unknown as ResourceApi<FlashSaleObject>;

  #guarded(
    version: string | undefined,
    change: (object: FlashSaleObject) => FlashSaleObject,
  ): Promise<FlashSaleObject> {
    if (!this.object) return Promise.reject(refusal(404));
    if (this.object.metadata.resourceVersion !== version) return Promise.reject(refusal(409));
    const saved = this.#save(change(this.object));
    if (!this.loseAnswer) return Promise.resolve(saved);
    this.loseAnswer = false;
    return Promise.reject(new Error('no answer in time'));
  }

  #save(object: FlashSaleObject): FlashSaleObject {
    const metadata = { ...object.metadata, resourceVersion: String(++this.#version) };
    const saved = { ...object, metadata };
    const gone = metadata.deletionTimestamp !== undefined && (metadata.finalizers ?? []).length === 0;
    this.object = gone ? undefined : saved;
    this.#events.push({ type: gone ? 'remove' : 'put', object: saved });
    return saved;
  }
}

const refusal = (code: number): ApiError => new ApiError('fake', { code });
const one = async (resources: SaleResources): Promise<SaleResource> => {
  const [resource] = await resources.list();
  assert.ok(resource);
  return resource;
};

/** Does what a pass does: looks, claims, writes an epoch before it is used, and writes again. */
class Passes {
  readonly #used = new Map<string, Set<number>>();

  async pass(server: Server, resources: SaleResources): Promise<void> {
    for (const resource of await resources.list()) {
      if (resource.deleting) await resources.remove(resource);
      else await this.#write(server, resources, resource);
    }
  }

  async #write(server: Server, resources: SaleResources, resource: SaleResource): Promise<void> {
    const epoch = (resource.status?.epoch ?? 0) + 1;
    await resources.claim(resource);
    const status = { ...newStatus, epoch, observedGeneration: resource.generation ?? 0 };
    await resources.writeStatus(resource, status);
    this.#use(String(server.object?.metadata.uid), epoch);
    await resources.writeStatus(resource, { ...status, message: 'done' });
    const read = await one(resources);
    assert.deepEqual([read.status?.message, read.status?.epoch], ['done', epoch]);
  }

  #use(uid: string, epoch: number): void {
    const epochs = this.#used.get(uid) ?? new Set();
    assert.ok(!epochs.has(epoch), `epoch ${epoch} again`);
    this.#used.set(uid, epochs.add(epoch));
  }
}

const refused = (error: unknown): void => {
  if (error instanceof assert.AssertionError) throw error;
};

test('our own status is read back at once, however late the watch is, and epochs never repeat', async () => {
  const acts = fc.constantFrom('pass', 'pass', 'pass', 'edit', 'deliver', 'restart', 'lose', 'delete', 'create');
  const property = fc.asyncProperty(fc.array(acts, { maxLength: 60 }), async (steps) => {
    const server = new Server();
    server.create();
    let resources = server.start();
    const passes = new Passes();
    const act: Record<(typeof steps)[number], () => unknown> = {
      pass: () => passes.pass(server, resources).catch(refused),
      edit: () => server.edit(),
      deliver: () => server.deliver(1),
      restart: () => (resources = server.start()),
      lose: () => (server.loseAnswer = true),
      delete: () => server.delete(),
      create: () => (server.object ? undefined : server.create()),
    };
    for (const step of steps) await act[step]();
    // Once the watch has caught up, passes succeed and the status is of the newest generation.
    server.loseAnswer = false;
    server.deliver(Infinity);
    await passes.pass(server, resources);
    const { metadata, spec, status } = server.object ?? {};
    assert.equal(status?.observedGeneration, metadata?.generation);
    assert.equal(spec, metadata?.generation, 'each edit of the owner counts');
  });
  await fc.assert(property, { numRuns: 500 });
});

test('a pass that was overtaken writes nothing more, whatever it tries', async () => {
  const server = new Server();
  server.create();
  const resources = server.start();
  const stale = await one(resources);
  await resources.claim(stale);
  server.edit();
  for (let tries = 0; tries < 2; tries++) {
    await assert.rejects(resources.writeStatus(stale, newStatus), { code: 409 });
    assert.equal(server.object?.status, undefined);
  }
  const fresh = await one(resources);
  assert.deepEqual([fresh.generation, fresh.text.includes('"spec":2')], [2, true], 'known before the watch told it');
  await resources.writeStatus(fresh, newStatus);
  assert.deepEqual(server.told, ['Scheduled']);
});

test('a resource stays until it is removed, and then is gone for us before the watch tells it', async () => {
  const server = new Server();
  server.create();
  const resources = server.start();
  const resource = await one(resources);
  await resources.claim(resource);
  assert.deepEqual(server.object?.metadata.finalizers, [FINALIZER]);
  server.delete();
  server.deliver(Infinity);
  const deleted = await one(resources);
  assert.equal(deleted.deleting, true);
  await resources.remove(deleted);
  assert.equal(server.object, undefined);
  assert.deepEqual(await resources.list(), []);
  server.create();
  assert.deepEqual(await resources.list(), [], 'the cache still has the old one');
  server.deliver(Infinity);
  assert.equal((await one(resources)).status, undefined);
  assert.equal((await one(resources)).deleting, false);
});

test('who watches hears of its owner’s changes alone', async () => {
  const server = new Server();
  server.create();
  const resources = server.start();
  const heard: string[] = [];
  const unwatch = resources.watch((changed) => void heard.push(`${changed.namespace}/${changed.name}`));
  const resource = await one(resources);
  await resources.claim(resource);
  await resources.writeStatus(resource, newStatus);
  server.deliver(Infinity);
  assert.deepEqual(heard, []);
  server.edit();
  server.deliver(Infinity);
  server.delete();
  server.deliver(Infinity);
  assert.deepEqual(heard, ['shop/drop', 'shop/drop']);
  unwatch();
  await resources.remove(await one(resources));
  server.deliver(Infinity);
  assert.equal(heard.length, 2);
});

test('a cluster that was restored from a backup is listed anew at the first write that meets it', async () => {
  const server = new Server();
  server.create();
  const resources = server.start();
  const backup = server.object;
  await resources.claim(await one(resources));
  await resources.writeStatus(await one(resources), { ...newStatus, epoch: 7 });
  server.deliver(Infinity);
  server.restore(backup);
  let heard = 0;
  resources.watch(() => (heard += 1));
  await assert.rejects(resources.writeStatus(await one(resources), { ...newStatus, epoch: 8 }), { code: 409 });
  assert.equal(server.restarts, 1);
  assert.equal(heard, 1, 'its status is an old one: a sale that rests has to write it anew');
  const restored = await one(resources);
  assert.equal(restored.status, undefined, 'as it is in the backup');
  await resources.writeStatus(restored, { ...newStatus, epoch: 9 });
  assert.equal((await one(resources)).status?.epoch, 9);
});

test('a resource that a backup does not have is gone after two writes; one deleted a moment ago needs no list', async () => {
  const server = new Server();
  server.create();
  const resources = server.start();
  await resources.claim(await one(resources));
  server.deliver(Infinity);
  server.restore(undefined);
  const write = async (): Promise<void> => {
    await assert.rejects(resources.writeStatus(await one(resources), newStatus), { code: 404 });
  };
  await write();
  assert.equal(server.restarts, 0);
  await write();
  assert.equal(server.restarts, 1);
  assert.deepEqual(await resources.list(), []);
});
