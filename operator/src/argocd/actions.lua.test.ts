/** What can be done to a FlashSale in Argo CD: the cases beside the scripts, and that nothing but the pause changes. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { act, actionsOf, mergePatchOf, SCRIPTS, startLua, yamlOf, type Action, type Lua } from './lua.fixture.ts';

interface ActionTests {
  readonly discoveryTests: readonly { readonly inputPath: string; readonly result: readonly Action[] }[];
  readonly actionTests: readonly {
    readonly action: string;
    readonly inputPath: string;
    readonly expectedOutputPath: string;
  }[];
}
const { discoveryTests, actionTests } = yamlOf('actions/action_test.yaml') as ActionTests;
const objectOf = (path: string): object => yamlOf(`actions/${path}`) as object;

let lua: Lua;
before(async () => {
  lua = await startLua();
});
after(() => lua.close());

for (const { inputPath, result } of discoveryTests) {
  for (const libraries of ['few', 'all'] as const) {
    test(`what can be done to ${inputPath}, with ${libraries} of Lua's libraries`, async () => {
      const byName = (one: Action, other: Action): number => one.name.localeCompare(other.name);
      const offered = await actionsOf(lua, objectOf(inputPath), libraries);
      assert.deepEqual(offered.toSorted(byName), result.toSorted(byName));
    });
  }
}

for (const { action, inputPath, expectedOutputPath } of actionTests) {
  test(`${action} of ${inputPath} makes ${expectedOutputPath}, and nothing else`, async () => {
    const was = objectOf(inputPath);
    const made = await act(lua, action, was);
    assert.deepEqual(made, objectOf(expectedOutputPath));
    assert.deepEqual(mergePatchOf(was, made), { spec: { paused: action === 'pause' } });
  });
}

test('every action that is offered has a script and a case, and every file of testdata is used', () => {
  const folders = readdirSync(new URL('actions/', SCRIPTS), { withFileTypes: true }).filter((one) => one.isDirectory());
  const scripts = folders.map(({ name }) => name).filter((name) => name !== 'testdata');
  const offered = new Set(discoveryTests.flatMap(({ result }) => result.map(({ name }) => name)));
  const tried = new Set(actionTests.map(({ action }) => action));
  assert.deepEqual([[...offered].sort(), [...tried].sort()], [scripts.sort(), scripts]);
  const paths = [...discoveryTests, ...actionTests].map(({ inputPath }) => inputPath);
  const used = new Set([...paths, ...actionTests.map(({ expectedOutputPath }) => expectedOutputPath)]);
  const files = readdirSync(new URL('actions/testdata/', SCRIPTS)).map((name) => `testdata/${name}`);
  assert.deepEqual([...used].sort(), files.sort());
});
