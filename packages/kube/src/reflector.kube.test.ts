/** The reflector on a real API server, through a proxy that does to it what networks and servers do. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, test, type TestContext } from 'node:test';
import { register } from '@flashsale/platform/metrics';
import { createKubeClient } from './client.ts';
import { systemClock, type Clock } from './clock.ts';
import { testKind, testNamespace } from './namespace.fixture.ts';
import type { KubeObject, ObjectName } from './object.ts';
import { startProxy, type Fault, type Proxy } from './proxy.fixture.ts';
import { Reflector, type ReflectorOptions } from './reflector.ts';
import { silent } from './world.fixture.ts';

interface Thing extends KubeObject {
  readonly spec: { readonly value: string };
}

const { kubeconfig, namespace, client: direct } = await testNamespace();
const kind = await testKind(direct);
const things = direct.resource<Thing>(kind);
const proxy = await startProxy(kubeconfig);
const client = createKubeClient({ config: proxy.config, fieldManager: 'kube-test' });
after(async () => {
  await client.close();
  await proxy.close();
});

const WAIT_MS = 30_000;
const isWatch = (request: string): boolean => request.includes('watch=true');
/** Delays after several failures in a row, ten times as fast. */
const quick: Clock = { ...systemClock, after: (ms, act) => systemClock.after(ms / 10, act) };
let count = 0;

interface Followed {
  readonly reflector: Reflector<Thing>;
  /** `added a`, `modified a one two`, … */
  readonly told: string[];
  /** Resolves when it has been told. */
  readonly heard: (what: string) => Promise<void>;
  readonly metric: (name: string, labels: string) => Promise<number>;
  /** What follows is for things of its own, which the others do not see. */
  readonly key: (short: string) => string;
  readonly make: (short: string) => Promise<Thing>;
  readonly change: (short: string) => Promise<Thing>;
  readonly remove: (short: string) => Promise<void>;
}

function follow(options: Partial<ReflectorOptions<Thing>> = {}): Followed {
  count += 1;
  const name = `r${count}`;
  const told: string[] = [];
  const bell = new EventTarget();
  const say = (text: string): void => {
    told.push(text);
    bell.dispatchEvent(new Event('told'));
  };
  const reflector = new Reflector<Thing>({
    name,
    source: client.resource<Thing>(kind),
    namespace,
    labelSelector: `own=${name}`,
    log: silent,
    ...options,
  });
  const short = (thing: Thing): string => thing.metadata.name.slice(name.length + 1);
  reflector.subscribe({
    added: (thing) => say(`added ${short(thing)}`),
    modified: (thing, old) => say(`modified ${short(thing)} ${old.spec.value} ${thing.spec.value}`),
    deleted: (thing) => say(`deleted ${short(thing)}`),
  });
  const at = (short: string): ObjectName => ({ name: `${name}-${short}`, namespace });
  const make = (short: string): Promise<Thing> =>
    things.create({ metadata: { ...at(short), labels: { own: name } }, spec: { value: 'one' } });
  const change = (short: string): Promise<Thing> => things.mergePatch(at(short), { spec: { value: 'two' } });
  const remove = (short: string): Promise<void> => things.remove(at(short));
  const heard = async (what: string): Promise<void> => {
    const signal = AbortSignal.timeout(WAIT_MS);
    while (!told.includes(what)) await once(bell, 'told', { signal });
  };
  const metric = async (metricName: string, labels: string): Promise<number> => {
    const line = new RegExp(`^${metricName}{name="${name}"${labels}} (.*)$`, 'm').exec(await register.metrics());
    return Number(line?.[1] ?? 0);
  };
  return { reflector, told, heard, metric, key: (short) => `${namespace}/${at(short).name}`, make, change, remove };
}

test('lists page by page, then follows every change with the state before it', async () => {
  const { reflector, told, heard, key, make, change, remove } = follow({ pageSize: 2 });
  for (const name of ['a', 'b', 'c', 'd', 'e']) await make(name);
  await things.create({ metadata: { name: 'not-selected', namespace }, spec: { value: 'one' } });
  proxy.seen.length = 0;
  await reflector.start();
  await reflector.synced();
  assert.deepEqual(told, ['added a', 'added b', 'added c', 'added d', 'added e']);
  assert.equal(proxy.seen.filter(({ request }) => request.includes('limit=2')).length, 3);
  await change('a');
  await heard('modified a one two');
  await remove('b');
  await heard('deleted b');
  assert.equal(reflector.store.size, 4);
  assert.equal(reflector.store.get(key('a'))?.spec.value, 'two');
  assert.equal(reflector.store.get(key('a'))?.kind, 'Thing');
  await reflector.stop();
});

test('a bookmark moves the place to go on from, although nothing of the kind has changed', async () => {
  const { reflector, heard, make } = follow({ watchMs: 1000 });
  await reflector.start();
  await reflector.synced();
  const first = versionAsked(proxy);
  await make('mark');
  await heard('added mark');
  // The server ends a watch of one to two seconds with a bookmark.
  await until(() => versionAsked(proxy) !== first && proxy.seen.filter(({ request }) => isWatch(request)).length > 3);
  await reflector.stop();
});

/** What is done to the connection, and how the reflector is to come back. */
const FAULTS: readonly {
  readonly name: string;
  /** The next requests meet these, one after the other. */
  readonly faults: readonly ((request: string) => Fault | undefined)[];
  readonly act: 'reset' | 'freeze';
  readonly relists: number;
  readonly ended?: string;
}[] = [
  { name: 'reset in mid-stream', faults: [], act: 'reset', relists: 0, ended: 'error' },
  { name: 'half-open TCP', faults: [], act: 'freeze', relists: 0, ended: 'idle' },
  {
    name: '410 as an ERROR event of the real server',
    faults: [
      (asked) => ({ do: 'ask', path: (asked.split(' ')[1] ?? '').replace(/resourceVersion=\d+/, 'resourceVersion=1') }),
    ],
    act: 'reset',
    relists: 1,
    ended: 'expired',
  },
  {
    name: '410 as the HTTP status',
    faults: [() => ({ do: 'answer', status: 410 })],
    act: 'reset',
    relists: 1,
    ended: 'expired',
  },
  {
    name: '500 three times',
    faults: Array.from({ length: 3 }, () => () => ({ do: 'answer' as const, status: 500 })),
    act: 'reset',
    relists: 0,
  },
  {
    name: 'connection refused three times',
    faults: Array.from({ length: 3 }, () => () => ({ do: 'reset' as const })),
    act: 'reset',
    relists: 0,
  },
  {
    name: 'a watch that ends at once',
    faults: [() => ({ do: 'answer', status: 200, body: '' })],
    act: 'reset',
    relists: 0,
  },
  { name: 'lines in pieces of 7 bytes', faults: [() => ({ do: 'split' })], act: 'reset', relists: 0 },
];

for (const { name, faults, act, relists, ended } of FAULTS) {
  test(`converges after: ${name}`, async (t: TestContext) => {
    const { reflector, told, heard, metric, make, change, remove } = follow({
      ...(act === 'freeze' ? { idleMs: 1500 } : {}),
      ...(faults.length > 1 ? { clock: quick } : {}),
    });
    await make('kept');
    await make('lost');
    await reflector.start();
    await reflector.synced();
    await make('seen');
    await heard('added seen');
    const coming = [...faults];
    proxy.fault = (asked) => (isWatch(asked) ? coming.shift()?.(asked) : undefined);
    proxy[act]();
    const from = performance.now();
    // Changed while nothing comes through.
    await remove('lost');
    await change('kept');
    await make('new');
    await Promise.all(['deleted lost', 'modified kept one two', 'added new'].map(heard));
    t.diagnostic(`converged ${Math.round(performance.now() - from)} ms after the fault`);
    assert.equal(coming.length, 0, 'every fault was met');
    assert.equal(new Set(told).size, told.length, `told twice: ${told.join(', ')}`);
    assert.equal(await metric('reflector_lists_total', ',reason="expired"'), relists);
    if (ended !== undefined) assert.ok((await metric('reflector_watches_total', `,ended="${ended}"`)) >= 1);
    proxy.fault = () => undefined;
    await reflector.stop();
  });
}

test('a server that is too busy is asked again when it says, at list and at watch', async () => {
  const { reflector, heard, make } = follow();
  const busy: Fault = { do: 'answer', status: 429, headers: { 'retry-after': '2' } };
  const coming: (Fault | undefined)[] = [busy, undefined, busy];
  proxy.fault = () => coming.shift();
  proxy.seen.length = 0;
  await reflector.start();
  await reflector.synced();
  await make('after');
  await heard('added after');
  const [list = 0, again = 0, watch = 0, rewatch = 0] = proxy.seen.map(({ at }) => at);
  assert.ok(again - list >= 2000, `list again after ${again - list} ms`);
  assert.ok(rewatch - watch >= 2000, `watch again after ${rewatch - watch} ms`);
  proxy.fault = () => undefined;
  await reflector.stop();
});

test('the periodic list finds what the watch has lost, mends it and counts it', async () => {
  const { reflector, told, heard, metric, make, remove } = follow({ relistMs: 1500 });
  await make('stays');
  await make('goes');
  await reflector.start();
  await reflector.synced();
  await make('seen');
  await heard('added seen');
  // Nothing comes through, and then the watch goes on from a later version than it asked for.
  proxy.freeze();
  await remove('goes');
  const { metadata } = await make('missed');
  const later = `resourceVersion=${metadata.resourceVersion ?? ''}`;
  let swallowed = false;
  proxy.fault = (asked) => {
    if (!isWatch(asked) || swallowed) return undefined;
    swallowed = true;
    return { do: 'ask', path: (asked.split(' ')[1] ?? '').replace(/resourceVersion=\d+/, later) };
  };
  proxy.reset();
  await until(() => swallowed);
  // The comparison waits until the watch has come past the list.
  const moving = setInterval(() => void make(`moves-${Date.now()}`).catch(() => undefined), 200);
  await Promise.all([heard('added missed'), heard('deleted goes')]);
  clearInterval(moving);
  assert.equal(await metric('reflector_drift_total', ',kind="added"'), 1);
  assert.equal(await metric('reflector_drift_total', ',kind="deleted"'), 1);
  assert.equal(told.filter((text) => text === 'added stays').length, 1);
  proxy.fault = () => undefined;
  await reflector.stop();
});

test('a stop before the first list rejects the wait for it, and ends within a moment', async () => {
  proxy.fault = () => ({ do: 'hang' });
  const { reflector } = follow();
  await reflector.start();
  const waited = assert.rejects(reflector.synced(), /stopped before/);
  const from = performance.now();
  await reflector.stop();
  await waited;
  assert.ok(performance.now() - from < 1000);
  proxy.fault = () => undefined;
});

function versionAsked({ seen }: Proxy): string | undefined {
  return seen.map(({ request }) => /watch=true.*resourceVersion=(\d+)/.exec(request)?.[1]).findLast(Boolean);
}

async function until(condition: () => boolean): Promise<void> {
  const end = performance.now() + WAIT_MS;
  while (!condition()) {
    assert.ok(performance.now() < end, 'it did not come about in time');
    await new Promise((done) => setTimeout(done, 20));
  }
}
