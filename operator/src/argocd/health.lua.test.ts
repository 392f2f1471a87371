/** The health of a FlashSale in Argo CD: the cases beside the script, and statuses of the operator's own code. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { CONDITIONS, PHASES, type Phase, type SaleFacts } from '@flashsale/sale';
import { rejectedConditions } from '../facts.ts';
import { newStatus, statusSchema } from '../status.ts';
import { healthOf, SCRIPTS, startLua, textOf, yamlOf, type Health, type Lua } from './lua.fixture.ts';
import { factsOf, live, MINUTE, OPENING, saleOf, statusOf, type LiveSale } from './statuses.fixture.ts';

interface HealthTests {
  readonly tests: readonly { readonly inputPath: string; readonly healthStatus: Health }[];
}
const { tests } = yamlOf('health_test.yaml') as HealthTests;

let lua: Lua;
before(async () => {
  lua = await startLua();
});
after(() => lua.close());

for (const { inputPath, healthStatus } of tests) {
  for (const libraries of ['few', 'all'] as const) {
    test(`${inputPath} is ${healthStatus.status}, with ${libraries} of Lua's libraries`, async () => {
      assert.deepEqual(await healthOf(lua, yamlOf(inputPath) as object, libraries), healthStatus);
    });
  }
}

test('every file of testdata is a case, and a status that the operator may write', () => {
  const files = readdirSync(new URL('testdata/', SCRIPTS)).map((name) => `testdata/${name}`);
  assert.deepEqual(tests.map(({ inputPath }) => inputPath).sort(), files.sort());
  for (const { inputPath } of tests.filter(({ healthStatus }) => healthStatus.status !== 'Unknown')) {
    const { status } = yamlOf(inputPath) as { status?: unknown };
    if (status !== undefined) assert.deepEqual(statusSchema.safeParse(status).error, undefined, inputPath);
  }
});

const healthAt = async (change: Partial<SaleFacts>, now: number, object: LiveSale = live()): Promise<Health> => {
  const facts = factsOf(saleOf(object), change);
  return healthOf(lua, { ...object, status: statusOf(facts, now) });
};

test('a condition that the script asks for is one of the operator’s', () => {
  const asked = [...textOf('health.lua').matchAll(/condition\("(\w+)"\)/g)].map(([, type]) => type);
  assert.deepEqual([...new Set(asked)].sort(), ['Accepted', 'Conserved', 'Paused', 'Reconciled']);
  for (const type of asked) assert.ok((CONDITIONS as readonly unknown[]).includes(type), type);
});

/** What is due a minute before each instant of the life of a sale that goes well. */
const LIFE: readonly (readonly [Partial<SaleFacts>, number, string])[] = [
  [{ phase: 'Scheduled', items: undefined, readyReplicas: new Map() }, OPENING - 11 * MINUTE, 'Healthy'],
  [{ phase: 'Warming', readyReplicas: new Map() }, OPENING - MINUTE, 'Progressing'],
  [{ phase: 'Armed' }, OPENING - MINUTE, 'Healthy'],
  [{ phase: 'Open' }, OPENING + MINUTE, 'Healthy'],
  [{ phase: 'Draining', outbox: 1 }, OPENING + 31 * MINUTE, 'Progressing'],
  [{ phase: 'Closed' }, OPENING + 31 * MINUTE, 'Progressing'],
  [{ phase: 'Closed', proof: { holds: true, message: 'all sold' } }, OPENING + 31 * MINUTE, 'Healthy'],
  [{ phase: 'Aborted' }, OPENING + 31 * MINUTE, 'Degraded'],
];
for (const [change, now, wanted] of LIFE) {
  test(`as the operator writes it, ${change.phase}${change.proof ? ' and proven' : ''} is ${wanted}`, async () => {
    const { status, message } = await healthAt(change, now);
    assert.equal(status, wanted, message);
    assert.match(message, new RegExp(`${change.phase}|aborted`), 'it says where the sale is');
  });
}
test('every phase of the operator has a health', () => {
  assert.deepEqual([...new Set(LIFE.map(([{ phase }]) => phase))], [...PHASES]);
});

const levels = { stock: 10, free: 10, held: 0, sold: 0 };
/** What may be wrong in any phase, as the operator finds it, and the words that must come through. */
const TROUBLE: readonly (readonly [string, Partial<SaleFacts>, RegExp])[] = [
  [
    'an edit that was refused',
    { problems: [{ field: 'spec.x', message: 'write y' }] },
    /accepted before: spec.x: write y$/,
  ],
  ['units that do not add up', { items: new Map([['shoe', { ...levels, free: 9 }]]) }, /shoe: 9 free \+ 0 held/],
  ['a proof that does not hold', { proof: { holds: false, message: 'two are gone' } }, /does not hold: two are gone$/],
];
for (const phase of PHASES) {
  for (const [name, change, words] of TROUBLE) {
    test(`${name} is Degraded while the sale is ${phase}`, async () => {
      const now = phase === 'Draining' || phase === 'Closed' ? OPENING + 31 * MINUTE : OPENING - 11 * MINUTE;
      const { status, message } = await healthAt({ phase, ...change }, now);
      assert.equal(status, 'Degraded');
      assert.match(message, words);
    });
  }
}

/** When each phase may be written without a move to another one. */
const timeIn = (phase: Phase): number => {
  if (phase === 'Scheduled') return OPENING - 11 * MINUTE;
  if (phase === 'Open') return OPENING + MINUTE;
  return phase === 'Draining' || phase === 'Closed' ? OPENING + 31 * MINUTE : OPENING - MINUTE;
};

test('a pause shows until the sale is over, and no longer', async () => {
  const suspended: Phase[] = [];
  for (const phase of PHASES) {
    const change = phase === 'Warming' ? { phase, readyReplicas: new Map() } : { phase };
    const { status } = await healthAt(change, timeIn(phase), live({ paused: true }));
    if (status === 'Suspended') suspended.push(phase);
  }
  assert.deepEqual(suspended, ['Scheduled', 'Warming', 'Armed', 'Open']);
});

test('stock that is lost while buyers may have some is Degraded', async () => {
  const degraded: Phase[] = [];
  for (const phase of PHASES) {
    const { status, message } = await healthAt({ phase, items: undefined }, timeIn(phase));
    if (status === 'Degraded' && /turned away .+: there is no stock in Redis/.test(message)) degraded.push(phase);
  }
  assert.deepEqual(degraded, ['Open', 'Draining']);
});

test('a sale that should be open and is not is Degraded, by the clock of Argo CD', async () => {
  for (const notReady of ['Delay', 'Open']) {
    const opensAt = new Date(Date.now() - 2_000).toISOString();
    const late = live({ opensAt, notReady });
    const change = { phase: 'Warming', allocated: undefined } as const;
    assert.match((await healthAt(change, Date.now(), late)).message, /^It is time, and .+ opens as soon as/);
    const soon = live({ opensAt: new Date(Date.now() + 600_000).toISOString(), notReady });
    assert.equal((await healthAt(change, Date.now(), soon)).status, 'Progressing');
  }
});

test('a document that never was accepted is Degraded, in the words of its refusal', async () => {
  const object = live();
  const problem = { field: 'spec.items', message: 'sell something' };
  const status = { ...newStatus, observedGeneration: 3 };
  const refused = { ...object, status: { ...status, conditions: rejectedConditions(status, problem, OPENING) } };
  assert.deepEqual(await healthOf(lua, refused), {
    status: 'Degraded',
    message: 'The sale was refused: spec.items: sell something',
  });
});

test('an operator that is behind the document makes no sale healthy or degraded', async () => {
  for (const phase of PHASES) {
    const object = live({}, 4);
    const { status } = await healthAt({ phase, proof: { holds: false, message: '' } }, OPENING + 31 * MINUTE, object);
    assert.equal(status, 'Progressing', phase);
  }
});
