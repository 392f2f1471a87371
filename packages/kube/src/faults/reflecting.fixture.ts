/** A reflector in front of the misbehaving server: it has come right when its store, and what it told, are the truth. */
import { isDeepStrictEqual } from 'node:util';
import { createKubeClient } from '../client.ts';
import { keyOf, type KubeObject, type Resource } from '../object.ts';
import { Reflector } from '../reflector.ts';
import { silent } from '../world.fixture.ts';
import { PAGE, WATCHDOG_MS, type Limits, type Subject } from './faults.fixture.ts';
import type { FaultyServer } from './server.fixture.ts';
import type { Stored } from './storage.fixture.ts';

/** One request at the fault, three waits at most, each before a list of four pages and a watch. */
export const REFLECTOR: Limits = { extraS: 0, mostRequests: 16 };

const THINGS: Resource = { group: 'faults.test', version: 'v1', plural: 'things', kind: 'Thing', namespaced: true };
const OBJECTS = 18;
const namespace = 'n';
/** Of characters of one to four bytes. */
const TITLE = 'aß漢🎟';

let count = 0;

export async function startReflecting({ storage, config }: FaultyServer): Promise<Subject> {
  const { plural } = THINGS;
  const make = (name: string): unknown =>
    storage.create(plural, {
      kind: 'Thing',
      metadata: { name, namespace },
      spec: { title: TITLE.repeat(10), round: -1 },
    });
  const change = (name: string, round: number): unknown =>
    storage.change(plural, `${namespace}/${name}`, 'main', (thing) => ({
      ...thing,
      spec: { title: TITLE.repeat(12), round },
    }));
  for (let n = 0; n < OBJECTS; n += 1) make(`thing-${n}`);
  const client = createKubeClient({ config, fieldManager: 'faults' });
  count += 1;
  const reflector = new Reflector<Stored>({
    name: `faults-${count}`,
    source: client.resource<Stored>(THINGS),
    namespace,
    pageSize: PAGE,
    idleMs: WATCHDOG_MS,
    log: silent,
  });
  const told = new Map<string, KubeObject>();
  reflector.subscribe({
    added: (thing) => told.set(keyOf(thing), thing),
    modified: (thing) => told.set(keyOf(thing), thing),
    deleted: (thing) => told.delete(keyOf(thing)),
  });
  await reflector.start();
  const byKey = (things: Iterable<KubeObject>): KubeObject[] =>
    [...things]
      .map((thing) => ({ apiVersion: 'faults.test/v1', ...thing }))
      .toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  return {
    edit: (round) => {
      change('thing-0', round);
      change('thing-0', round + 100);
      change(`thing-${6 + round}`, round);
      storage.remove(plural, `${namespace}/thing-${12 + round}`);
      make(`new-${round}`);
      change(`new-${round}`, round);
      // Another object of the same name.
      storage.remove(plural, `${namespace}/thing-1`);
      make('thing-1');
      // Gone before anybody may have seen it.
      make(`brief-${round}`);
      storage.remove(plural, `${namespace}/brief-${round}`);
    },
    converged: () => {
      const truth = byKey(storage.all(plural));
      return (
        isDeepStrictEqual(byKey(reflector.store.values()), truth) && isDeepStrictEqual(byKey(told.values()), truth)
      );
    },
    stop: async () => {
      await reflector.stop();
      await client.close();
    },
  };
}
