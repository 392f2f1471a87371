/** The client on a real API server: apply, guarded writes, finalizers, events, refusals, deadlines, one connection. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { ApiError, isConflict, isNotFound } from './api-error.ts';
import { createKubeClient, KubeConfig } from './client.ts';
import { EVENTS, EventRecorder, type EventObject } from './events.ts';
import { addFinalizer, hasFinalizer, removeFinalizer } from './finalizers.ts';
import { CONFIG_MAPS, testKind, testNamespace, type ConfigMap } from './namespace.fixture.ts';
import type { KubeObject } from './object.ts';
import { startProxy } from './proxy.fixture.ts';
import { silent } from './world.fixture.ts';

interface Thing extends KubeObject {
  readonly spec?: unknown;
  readonly status?: unknown;
}

const { kubeconfig, config, client, namespace, maps, make } = await testNamespace();
const kind = await testKind(client);
const things = client.resource<Thing>(kind);
const proxy = await startProxy(kubeconfig);
after(() => proxy.close());

const FINALIZER = 'flashsale.dev/test';

test('apply owns what it sets, takes it by force, and lets go of what it leaves out', async () => {
  const other = createKubeClient({ config, fieldManager: 'other' });
  const at = { name: 'applied', namespace };
  const mine = await maps.apply({ metadata: at, data: { a: '1', b: '1' } });
  assert.deepEqual(mine.data, { a: '1', b: '1' });
  await other.resource<ConfigMap>(CONFIG_MAPS).apply({ metadata: at, data: { b: '2', c: '2' } });
  const again = await maps.apply({ metadata: at, data: { b: '3' } });
  assert.deepEqual(again.data, { b: '3', c: '2' });
  await other.close();
});

test('status is written by apply on its subresource, and the spec by nothing of it', async () => {
  const at = { name: 'with-status', namespace };
  await things.create({ metadata: at, spec: { stock: 1 } });
  const written = await things.apply(
    { metadata: at, spec: { stock: 9 }, status: { sold: 1 } },
    { subresource: 'status' },
  );
  assert.deepEqual([written.spec, written.status], [{ stock: 1 }, { sold: 1 }]);
});

test('a finalizer keeps the object until it is removed, and no change of others is lost', async () => {
  const made = await make('finalized');
  const held = await addFinalizer(maps, made, FINALIZER);
  assert.ok(hasFinalizer(held, FINALIZER));
  assert.equal(await addFinalizer(maps, held, FINALIZER), held);
  await assert.rejects(addFinalizer(maps, made, 'flashsale.dev/late'), isConflict);
  await maps.remove(held.metadata);
  const dying = await maps.get(held.metadata);
  assert.ok(dying.metadata.deletionTimestamp !== undefined);
  await assert.rejects(removeFinalizer(maps, held, FINALIZER), isConflict);
  await removeFinalizer(maps, dying, FINALIZER);
  await assert.rejects(maps.get(held.metadata), isNotFound);
});

test('a replace of an older version is refused, and so is the removal of another object of that name', async () => {
  const made = await make('replaced');
  await maps.replace({ ...made, data: { value: 'two' } });
  await assert.rejects(maps.replace({ ...made, data: { value: 'three' } }), isConflict);
  const wrong = { uid: '00000000-0000-0000-0000-000000000000' };
  await assert.rejects(maps.remove(made.metadata, wrong), isConflict);
});

test('refusals carry the reason of the server: not allowed, not valid', async () => {
  const restricted = new KubeConfig();
  restricted.loadFromFile(kubeconfig);
  restricted.setCurrentContext('restricted');
  const weak = createKubeClient({ config: restricted, fieldManager: 'weak' });
  const forbidden = (error: unknown): boolean => error instanceof ApiError && error.reason === 'Forbidden';
  await assert.rejects(weak.resource(CONFIG_MAPS).list({ namespace }), forbidden);
  const invalid = (error: unknown): boolean => error instanceof ApiError && error.code === 422;
  await assert.rejects(make('Not_A_Name'), invalid);
  await weak.close();
});

test('a call ends at its deadline although nothing ever comes; the next one works', async () => {
  const slow = createKubeClient({ config: proxy.config, fieldManager: 'slow', deadlineMs: 1500 });
  proxy.fault = () => ({ do: 'hang' });
  const from = performance.now();
  await assert.rejects(slow.resource(CONFIG_MAPS).list({ namespace }), { name: 'TimeoutError' });
  assert.ok(performance.now() - from < 5000);
  proxy.fault = () => undefined;
  await slow.resource(CONFIG_MAPS).list({ namespace });
  await slow.close();
});

test('a hundred calls one after the other do not take a hundred connections', async () => {
  const through = createKubeClient({ config: proxy.config, fieldManager: 'through' });
  const before = proxy.connections();
  for (let i = 0; i < 100; i += 1) await through.resource(CONFIG_MAPS).list({ namespace, limit: 1 });
  // A second one where the first was not quite free.
  assert.ok(proxy.connections() - before <= 2);
  await through.close();
});

test('calls that come at once to a new client share its pool', async () => {
  const fresh = createKubeClient({ config, fieldManager: 'fresh' });
  const lists = Array.from({ length: 20 }, () => fresh.resource(CONFIG_MAPS).list({ namespace }));
  assert.equal((await Promise.all(lists)).length, 20);
  await fresh.close();
});

test('events are accepted as they are, and a repetition becomes a series', async () => {
  const api = client.resource<EventObject>(EVENTS);
  const recorder = new EventRecorder({ api, controller: 'flashsale.dev/test', instance: 'one', log: silent });
  const about = await make('told-of');
  const happening = { type: 'Warning', reason: 'Torn', action: 'Test', note: 'ü'.repeat(2000) } as const;
  const object = { ...about, apiVersion: 'v1', kind: 'ConfigMap' };
  for (let i = 0; i < 3; i += 1) recorder.emit(object, happening);
  await recorder.drain();
  const { items } = await api.list({ namespace, fieldSelector: 'regarding.name=told-of' });
  assert.equal(items.length, 1);
  assert.equal(items[0]?.series?.count, 3);
  assert.equal(items[0]['reportingController'], 'flashsale.dev/test');
  await recorder.stop();
});
