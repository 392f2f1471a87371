/** What the misbehaving server has in common with the real one where it behaves: run on both. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError, isConflict, isNotFound } from '../api-error.ts';
import { addFinalizer, removeFinalizer } from '../finalizers.ts';
import { compareVersions, versionOf, type ObjectName } from '../object.ts';
import type { ResourceApi, WatchEvent } from '../ports.ts';
import type { Stored } from './storage.fixture.ts';

const WAIT_MS = 20_000;

/** `api` serves a kind that has a status of its own and a free spec. */
export function serverContract(server: string, api: () => ResourceApi<Stored>, namespace: string): void {
  const at = (name: string): ObjectName => ({ name, namespace });
  const make = (name: string, value = 'one'): Promise<Stored> => api().create({ metadata: at(name), spec: { value } });

  test(`${server}: generations count the spec, versions everything, and what changes nothing writes nothing`, async () => {
    const made = await make('counted');
    assert.deepEqual([made.metadata.generation, made.spec], [1, { value: 'one' }]);
    const edited = await api().mergePatch(at('counted'), { spec: { value: 'two' }, status: { not: 'written' } });
    assert.deepEqual([edited.metadata.generation, edited.spec, edited.status], [2, { value: 'two' }, undefined]);
    assert.ok(compareVersions(versionOf(edited), versionOf(made)) > 0);
    const status = { phase: 'Open' };
    const told = await api().mergePatch(at('counted'), { status, spec: { not: 'written' } }, { subresource: 'status' });
    assert.deepEqual([told.metadata.generation, told.spec, told.status], [2, { value: 'two' }, status]);
    const labelled = await api().mergePatch(at('counted'), { metadata: { labels: { a: 'b' } } });
    assert.deepEqual([labelled.metadata.generation, labelled.metadata.labels], [2, { a: 'b' }]);
    assert.deepEqual(await api().mergePatch(at('counted'), { spec: { value: 'two' } }), labelled);
    assert.deepEqual(await api().get(at('counted')), labelled);
  });

  test(`${server}: a status that is applied is its writer's, and only from the version that was seen`, async () => {
    const made = await make('applied');
    const apply = (resourceVersion: string, status: object): Promise<Stored> =>
      api().apply({ metadata: { ...at('applied'), resourceVersion }, status }, { subresource: 'status' });
    const first = await apply(versionOf(made), { phase: 'Armed', items: ['a'] });
    assert.deepEqual(first.status, { phase: 'Armed', items: ['a'] });
    const second = await apply(versionOf(first), { phase: 'Open' });
    assert.deepEqual([second.status, second.spec], [{ phase: 'Open' }, { value: 'one' }]);
    await assert.rejects(apply(versionOf(first), { phase: 'Closed' }), isConflict);
    const created = await api().apply({ metadata: at('applied-anew'), spec: { value: 'new' } });
    assert.deepEqual([created.spec, created.metadata.generation], [{ value: 'new' }, 1]);
  });

  test(`${server}: what is there already, is not there, or was changed meanwhile is refused`, async () => {
    const made = await make('refused');
    await assert.rejects(make('refused'), isConflict);
    await api().mergePatch(at('refused'), { spec: { value: 'two' } });
    await assert.rejects(api().replace({ ...made, spec: { value: 'three' } }), isConflict);
    await assert.rejects(addFinalizer(api(), made, 'test/finalizer'), isConflict);
    await assert.rejects(api().get(at('never')), isNotFound);
    await assert.rejects(api().mergePatch(at('never'), { spec: {} }), isNotFound);
    await assert.rejects(api().remove(at('never')), isNotFound);
  });

  test(`${server}: what has a finalizer stays until that is taken away`, async () => {
    const held = await addFinalizer(api(), await make('held'), 'test/finalizer');
    await api().remove(at('held'));
    const marked = await api().get(at('held'));
    assert.notEqual(marked.metadata.deletionTimestamp, undefined);
    assert.deepEqual([held.metadata.generation, marked.metadata.generation], [1, 2]);
    await api().remove(at('held'));
    assert.equal(versionOf(await api().get(at('held'))), versionOf(marked), 'marked once');
    await removeFinalizer(api(), marked, 'test/finalizer');
    await assert.rejects(api().get(at('held')), isNotFound);
  });

  test(`${server}: the pages of a list are of one moment`, async () => {
    for (const name of ['page-a', 'page-b', 'page-c']) await make(name);
    const all = await api().list({ namespace });
    const names: string[] = [];
    let next: string | undefined;
    do {
      const page = await api().list({ namespace, limit: 2, ...(next === undefined ? {} : { continue: next }) });
      if (next === undefined) await make('page-0');
      assert.ok(page.items.length <= 2 && compareVersions(page.resourceVersion, all.resourceVersion) >= 0);
      names.push(...page.items.map(({ metadata }) => metadata.name));
      next = page.continue;
    } while (next !== undefined);
    assert.deepEqual(
      names,
      all.items.map(({ metadata }) => metadata.name),
    );
  });

  test(`${server}: a watch tells what came after its version, in order, and ends in time`, async () => {
    const { resourceVersion } = await api().list({ namespace });
    await make('watched');
    await api().mergePatch(at('watched'), { spec: { value: 'two' } });
    await api().remove(at('watched'));
    const told: WatchEvent<Stored>[] = [];
    const query = { namespace, resourceVersion, timeoutSeconds: 1 };
    for await (const event of await api().watch(query, AbortSignal.timeout(WAIT_MS), () => undefined)) told.push(event);
    const changes = told.filter(({ type }) => type !== 'BOOKMARK') as { type: string; object: Stored }[];
    assert.deepEqual(
      changes.map(({ type }) => type),
      ['ADDED', 'MODIFIED', 'DELETED'],
    );
    const versions = [resourceVersion, ...changes.map(({ object }) => versionOf(object))];
    assert.deepEqual(versions.toSorted(compareVersions), versions);
    assert.equal(new Set(versions).size, versions.length, 'each of its own, also the deletion');
  });

  test(`${server}: a version that is not remembered is told as an ERROR event`, async () => {
    const query = { namespace, resourceVersion: '1', timeoutSeconds: 5 };
    for await (const event of await api().watch(query, AbortSignal.timeout(WAIT_MS), () => undefined)) {
      assert.ok(event.type === 'ERROR');
      const { code, reason } = new ApiError('watch', event.object);
      assert.deepEqual([code, reason], [410, 'Expired']);
      return;
    }
    assert.fail('nothing came');
  });
}
