/** The folder of resources: documents, statuses, deletions, and that a change is noticed. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { resourceFolder } from './resources.ts';
import { newStatus, withCondition } from './status.ts';

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'resources-'));
  t.after(() => rm(path, { recursive: true }));
  await mkdir(join(path, 'shop'));
  return path;
}

test('a document is listed with its status and its deletion, and removed with both', async (t) => {
  const path = await folder(t);
  const resources = resourceFolder(path);
  await writeFile(join(path, 'shop', 'drop.yaml'), 'kind: FlashSale');
  const [fresh] = await resources.list();
  assert.deepEqual(fresh, {
    namespace: 'shop',
    name: 'drop',
    text: 'kind: FlashSale',
    status: undefined,
    deleting: false,
  });

  const status = { ...newStatus, epoch: 4 };
  await resources.writeStatus(fresh, status);
  await writeFile(join(path, 'shop', 'drop.deleted'), '');
  const [known] = await resources.list();
  assert.deepEqual(known, { ...fresh, status, deleting: true });

  await resources.remove(known);
  assert.deepEqual(await resources.list(), []);
});

test('what cannot be read keeps only its own sale away, and a torn status counts as lost', async (t) => {
  const path = await folder(t);
  const unreadable: string[] = [];
  const resources = resourceFolder(path, (file) => unreadable.push(file));
  await mkdir(join(path, 'shop', 'broken.yaml'));
  for (const torn of ['', '{"phase":', 'null', '7']) {
    unreadable.length = 0;
    await writeFile(join(path, 'shop', 'drop.yaml'), 'kind: FlashSale');
    await writeFile(join(path, 'shop', 'drop.status.json'), torn);
    const found = await resources.list();
    assert.deepEqual(
      found.map(({ name, status }) => [name, status]),
      [['drop', undefined]],
    );
    assert.deepEqual(
      unreadable.map((file) => file.slice(path.length)),
      ['/shop/broken.yaml', '/shop/drop.status.json'],
    );
  }
  await writeFile(join(path, 'shop', 'drop.status.json'), '{"phase":"Open","epoch":3}');
  assert.deepEqual((await resources.list())[0]?.status, { ...newStatus, phase: 'Open', epoch: 3 });
});

test('one that cannot be read is not taken for gone, and is told of after each list that left it out', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const path = await folder(t);
  const resources = resourceFolder(path);
  await mkdir(join(path, 'shop', 'broken.yaml'));
  await writeFile(join(path, 'shop', 'sound.yaml'), 'kind: FlashSale');
  await assert.rejects(resources.get({ namespace: 'shop', name: 'broken' }), { code: 'EISDIR' });
  await mkdir(join(path, 'shop', 'sound.status.json'));
  await assert.rejects(resources.get({ namespace: 'shop', name: 'sound' }), { code: 'EISDIR' });
  await rm(join(path, 'shop', 'sound.status.json'), { recursive: true });
  let told = Promise.withResolvers<string>();
  t.after(resources.watch(({ name }) => told.resolve(name)));
  for (let look = 0; look < 2; look++) {
    told = Promise.withResolvers();
    await resources.list();
    while (!(await Promise.race([told.promise, turn().then(() => '')]))) t.mock.timers.tick(5_000);
    assert.equal(await told.promise, 'broken');
  }
});

test('a mark that a crash left behind does not delete the next resource of that name', async (t) => {
  const path = await folder(t);
  const resources = resourceFolder(path);
  await writeFile(join(path, 'shop', 'drop.deleted'), '');
  assert.deepEqual(await resources.list(), []);
  await writeFile(join(path, 'shop', 'drop.yaml'), 'kind: FlashSale');
  assert.equal((await resources.list())[0]?.deleting, false);
});

test('an applied document is noticed, our own status is not', async (t) => {
  const path = await folder(t);
  const resources = resourceFolder(path);
  let changes = 0;
  let noticed = (): void => undefined;
  const first = new Promise<void>((resolve) => (noticed = resolve));
  t.after(
    resources.watch(() => {
      changes += 1;
      noticed();
    }),
  );
  await resources.writeStatus(
    { namespace: 'shop', name: 'drop', text: '', status: undefined, deleting: false },
    newStatus,
  );
  assert.equal(changes, 0);
  await writeFile(join(path, 'shop', 'drop.yaml'), 'kind: FlashSale');
  await first;
});

test('a condition keeps its transition time while its status stays', () => {
  const set = { type: 'Open', status: 'False', reason: 'Armed', message: '' } as const;
  const first = withCondition([], set, 1, 1000);
  const same = withCondition(first, { ...set, reason: 'Other' }, 1, 2000);
  assert.equal(same[0]?.lastTransitionTime, first[0]?.lastTransitionTime);
  const moved = withCondition(same, { ...set, status: 'True' }, 1, 3000);
  assert.equal(moved[0]?.lastTransitionTime, '1970-01-01T00:00:03Z');
  assert.equal(moved.length, 1);
});
