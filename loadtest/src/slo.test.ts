/** The objectives, and how a run is judged by them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SCENARIOS, sizeOf } from './scenarios.ts';
import { isHeld, isPlatformMetric, k6Thresholds, objectivesOf, parseRule, type Objective } from './slo.ts';
import { judge } from './slo-judge.ts';

test('every objective has a rule that can be read, a reason, and a name of its own', () => {
  for (const scenario of SCENARIOS) {
    const objectives = objectivesOf(scenario, sizeOf(scenario, {}));
    for (const { rule, reason } of objectives) {
      assert.ok(Number.isFinite(parseRule(rule).bound));
      assert.ok(reason.endsWith('.') || reason.endsWith(').'), reason);
    }
    assert.equal(new Set(objectives.map(({ name }) => name)).size, objectives.length);
  }
});

test('every scenario keeps the promises, and must sell what can be sold', () => {
  for (const scenario of SCENARIOS) {
    const size = sizeOf(scenario, {});
    const rules = new Map(objectivesOf(scenario, size).map(({ metric, rule }) => [metric, rule]));
    assert.equal(rules.get('units_oversold'), 'value==0');
    assert.equal(rules.get('broken_promises'), 'rate==0');
    assert.equal(rules.get('units_sold'), `value==${Math.min(size.stock, size.buyers)}`);
  }
});

test('k6 gets its own objectives, and none of the platform’s', () => {
  const thresholds = k6Thresholds('spike', sizeOf('spike', {}));
  assert.deepEqual(thresholds['http_req_duration{name:purchase,scenario:peak}'], ['p(99)<2000']);
  assert.deepEqual(thresholds['broken_promises'], ['rate==0']);
  assert.deepEqual(Object.keys(thresholds).filter(isPlatformMetric), []);
});

test('memory is judged in a long soak alone', () => {
  const judgesMemory = (seconds: number): boolean =>
    objectivesOf('soak', sizeOf('soak', { seconds })).some(({ metric }) => metric === 'memory_growth');
  assert.equal(judgesMemory(60), false);
  assert.equal(judgesMemory(300), true);
});

test('a rule holds by its operator', () => {
  const held = (rule: string, value: number): boolean => isHeld(rule, value);
  assert.deepEqual([held('value<2', 1.9), held('value<2', 2), held('value<=2', 2)], [true, false, true]);
  assert.deepEqual([held('rate>0.99', 0.99), held('rate>=0.99', 0.99), held('count==0', 1)], [false, true, false]);
  assert.throws(() => parseRule('p99 below 3'), SyntaxError);
});

const objective = (metric: string, rule: string): Objective => ({ name: metric, metric, rule, reason: 'R.' });
const verdictsOf = (objectives: readonly Objective[], metrics: Record<string, Record<string, number>>) =>
  judge(
    objectives,
    { metrics: Object.fromEntries(Object.entries(metrics).map(([name, values]) => [name, { values }])) },
    { units_oversold: 3 },
  ).map(({ value, held }) => [value, held]);

test('verdicts come from k6 and from the platform', () => {
  const objectives = [
    objective('http_req_duration{name:purchase}', 'p(99)<1000'),
    objective('broken_promises', 'rate==0'),
    objective('units_oversold', 'value==0'),
  ];
  const metrics = {
    'http_req_duration{name:purchase}': { count: 9, 'p(99)': 12 },
    broken_promises: { rate: 0.5, passes: 1, fails: 1 },
  };
  assert.deepEqual(verdictsOf(objectives, metrics), [
    [12, true],
    [0.5, false],
    [3, false],
  ]);
});

test('what was not measured is missed, though k6 calls it held; a count of nothing is 0', () => {
  const objectives = [
    objective('http_req_duration{name:purchase}', 'p(99)<1000'),
    objective('heard', 'rate>0.99'),
    objective('dropped_iterations', 'count==0'),
    objective('memory_growth', 'value<1.2'),
  ];
  const metrics = {
    'http_req_duration{name:purchase}': { count: 0, 'p(99)': 0 },
    heard: { rate: 0, passes: 0, fails: 0 },
  };
  assert.deepEqual(verdictsOf(objectives, metrics), [
    [undefined, false],
    [undefined, false],
    [0, true],
    [undefined, false],
  ]);
});
