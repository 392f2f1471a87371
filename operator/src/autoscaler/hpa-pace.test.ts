/**
 * The HPA's windows and policies: cases worked by hand from kubernetes v1.34.4 pkg/controller/podautoscaler/horizontal.go
 * and pkg/apis/autoscaling/v2/defaults.go. The function that each follows is named.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { lagReplicas } from './lag-replicas.ts';
import type { HpaBehavior, HpaHistory, LagCase } from './lag-replicas.ts';
import { piled } from './worked.fixture.ts';

interface Paced {
  readonly why: string;
  readonly current: number;
  /** What the metric asks for: ten records each, with partitions to spare. */
  readonly asks: number;
  readonly bounds?: readonly [number, number];
  readonly behavior?: HpaBehavior;
  readonly history?: HpaHistory;
  readonly want: number;
}

const caseOf = ({ current, asks, bounds = [1, 100], behavior = {}, history = {} }: Paced): LagCase => ({
  id: 'a',
  mode: 'keda',
  partitions: piled(200, asks * 10),
  currentReplicas: current,
  minReplicas: bounds[0],
  maxReplicas: bounds[1],
  behavior,
  history,
});

type Rules = NonNullable<HpaBehavior['scaleUp']>;
type Policy = NonNullable<Rules['policies']>[number];
const pods = (value: number, periodSeconds = 60): Policy => ({ type: 'Pods', value, periodSeconds });
const percent = (value: number, periodSeconds = 60): Policy => ({ type: 'Percent', value, periodSeconds });
const up = (rules: Rules, ...policies: Policy[]): HpaBehavior => ({ scaleUp: { ...rules, policies } });
/** Without the five minutes, so that a case is about policies alone. */
const down = (rules: Rules, ...policies: Policy[]): HpaBehavior => ({
  scaleDown: { stabilizationWindowSeconds: 0, ...rules, policies },
});
const scaled = (...changes: [number, number][]): HpaHistory => ({
  scaled: changes.map(([secondsAgo, change]) => ({ secondsAgo, change })),
});
const asked = (...recommendations: [number, number][]): HpaHistory => ({
  recommendations: recommendations.map(([secondsAgo, replicas]) => ({ secondsAgo, replicas })),
});

const DEFAULTS: readonly Paced[] = [
  { why: '10 may double: 20 of 50', current: 10, asks: 50, want: 20 },
  { why: 'of few, four more are more than as many again', current: 2, asks: 50, want: 6 },
  { why: 'all 10 were added within the 15 s', current: 20, asks: 50, history: scaled([14, 10]), want: 20 },
  { why: 'exactly 15 s ago is outside', current: 20, asks: 50, history: scaled([15, 10]), want: 40 },
  { why: '6 of 10 were added: 4 more', current: 16, asks: 50, history: scaled([5, 6]), want: 20 },
  { why: 'what was taken away counts to the start', current: 10, asks: 50, history: scaled([5, -5]), want: 30 },
  { why: 'max is below the limit', current: 10, asks: 50, bounds: [1, 15], want: 15 },
  { why: 'given rules for down leave those for up', current: 10, asks: 50, behavior: down({}, pods(1)), want: 20 },
  { why: 'a controller that has just begun holds the size', current: 10, asks: 2, want: 10 },
  { why: 'down to the highest of 300 s', current: 10, asks: 2, history: asked([299, 7], [60, 5], [15, 2]), want: 7 },
  { why: 'exactly 300 s ago is outside', current: 10, asks: 2, history: asked([300, 9], [60, 5]), want: 5 },
  { why: 'held by a higher one, but not raised', current: 10, asks: 2, history: asked([60, 40]), want: 10 },
  { why: 'all older: down at once, to min', current: 10, asks: 2, bounds: [4, 100], history: asked([301, 9]), want: 4 },
  { why: 'the window down does not hold up', current: 10, asks: 12, history: asked([60, 10]), want: 12 },
];

const POLICIES: readonly Paced[] = [
  { why: 'up, Disabled', current: 10, asks: 50, behavior: up({ selectPolicy: 'Disabled' }, pods(9)), want: 10 },
  { why: 'down, Disabled', current: 10, asks: 2, behavior: down({ selectPolicy: 'Disabled' }, pods(9)), want: 10 },
  { why: 'up, the most of two', current: 10, asks: 50, behavior: up({}, pods(3), percent(50)), want: 15 },
  { why: 'up, Min', current: 10, asks: 50, behavior: up({ selectPolicy: 'Min' }, pods(3), percent(50)), want: 13 },
  { why: 'down, the most of two', current: 10, asks: 1, behavior: down({}, pods(3), percent(50)), want: 5 },
  { why: 'down, Min', current: 10, asks: 1, behavior: down({ selectPolicy: 'Min' }, pods(3), percent(50)), want: 7 },
  { why: 'up, a share is rounded up', current: 3, asks: 50, behavior: up({}, percent(10)), want: 4 },
  { why: 'down, a share leaves a whole number: 2.7', current: 3, asks: 1, behavior: down({}, percent(10)), want: 2 },
  {
    why: 'down, changes inside and outside of the minute: 12 - 4',
    current: 10,
    asks: 1,
    behavior: down({}, pods(4)),
    history: scaled([59, -2], [60, -9]),
    want: 8,
  },
  {
    why: 'down, more was taken than is allowed: none, and none given back',
    current: 10,
    asks: 1,
    behavior: down({}, pods(4)),
    history: scaled([59, -6]),
    want: 10,
  },
  {
    why: 'up, each policy has its own period',
    current: 20,
    asks: 90,
    behavior: up({ selectPolicy: 'Min' }, pods(8, 15), pods(20, 60)),
    history: scaled([30, 15]),
    want: 25,
  },
  {
    why: 'up, the lowest of the window',
    current: 10,
    asks: 50,
    behavior: { scaleUp: { stabilizationWindowSeconds: 60 } },
    history: asked([59, 12], [60, 3], [10, 30]),
    want: 12,
  },
  { why: 'above max: there at once', current: 40, asks: 2, bounds: [1, 30], history: asked([5, 40]), want: 30 },
  { why: 'below min: there at once', current: 1, asks: 50, bounds: [30, 90], history: scaled([5, 1]), want: 30 },
  {
    why: 'a tolerance of its own, up',
    current: 10,
    asks: 11,
    behavior: { scaleUp: { tolerance: '50m' } },
    want: 11,
  },
  {
    why: 'and down, as a number',
    current: 10,
    asks: 8,
    behavior: { scaleDown: { tolerance: 0.2, stabilizationWindowSeconds: 0 } },
    want: 10,
  },
];

const FORGETS: readonly Paced[] = [
  {
    why: 'an old rise is still there for a longer period of down: 20 - 10 - 5',
    current: 20,
    asks: 1,
    behavior: down({}, pods(5, 300)),
    history: scaled([100, 10]),
    want: 5,
  },
  {
    why: 'but a later rise took its place: 20 - 1 - 5',
    current: 20,
    asks: 1,
    behavior: down({}, pods(5, 300)),
    history: scaled([50, 1], [100, 10]),
    want: 14,
  },
];

const SOURCES = {
  'defaults.go': DEFAULTS,
  calculateScaleLimits: POLICIES,
  storeScaleEvent: FORGETS,
};

for (const [source, cases] of Object.entries(SOURCES)) {
  for (const paced of cases) {
    test(`hpa, ${source}: ${paced.why}`, () => {
      assert.equal(lagReplicas(caseOf(paced)).replicas, paced.want);
    });
  }
}

test('a target at 0 is started by KEDA, and ended by it, whatever the behaviour', () => {
  const behavior = { scaleUp: { selectPolicy: 'Disabled' }, scaleDown: { selectPolicy: 'Disabled' } } as const;
  assert.equal(lagReplicas(caseOf({ why: '', current: 0, asks: 50, bounds: [0, 9], behavior, want: 1 })).replicas, 1);
  assert.equal(lagReplicas(caseOf({ why: '', current: 5, asks: 0, bounds: [0, 9], behavior, want: 0 })).replicas, 0);
});

const size = fc.integer({ min: 1, max: 60 });
const history = fc.record({
  recommendations: fc.array(fc.record({ secondsAgo: fc.nat(400), replicas: fc.nat(80) }), { maxLength: 8 }),
  scaled: fc.array(fc.record({ secondsAgo: fc.nat(400), change: fc.integer({ min: 1, max: 20 }) }), { maxLength: 8 }),
});

test('no window, a policy that allows all, no history: as without a behaviour', () => {
  const all = { stabilizationWindowSeconds: 0, policies: [pods(1_000_000)] };
  fc.assert(
    fc.property(size, fc.nat(90), fc.nat(20), fc.nat(60), (current, asks, less, more) => {
      // Within min and max; outside of them the HPA does not look at the metric.
      const bounds = [Math.max(0, current - less), current + more] as const;
      const behavior = { scaleUp: all, scaleDown: all };
      const { behavior: _, ...plain } = caseOf({ why: '', current, asks, bounds, want: 0 });
      assert.deepEqual(lagReplicas({ ...plain, behavior, history: {} }), lagReplicas(plain));
    }),
  );
});

test('whatever the history: between the current number and what the metric asks for', () => {
  fc.assert(
    fc.property(size, fc.integer({ min: 1, max: 90 }), history, (current, asks, past) => {
      const paced = caseOf({ why: '', current, asks, history: past, want: 0 });
      const { replicas } = lagReplicas(paced);
      const { behavior: _, ...plain } = paced;
      const goal = lagReplicas(plain).replicas;
      assert.ok(replicas >= Math.min(current, goal) && replicas <= Math.max(current, goal), `${replicas}`);
    }),
  );
});

test('what Kubernetes would refuse is refused, and the message names case and field', () => {
  const refused = (given: object, message: RegExp): void => {
    const one = { ...caseOf({ why: '', current: 1, asks: 1, want: 1 }), ...given };
    assert.throws(() => lagReplicas(one), { name: 'RangeError', message });
  };
  const of = (rules: object): object => ({ behavior: { scaleUp: rules } });
  refused(of({ policies: [] }), /^case a: behavior\.scaleUp\.policies: must have at least one policy$/);
  refused(of({ policies: [{ ...pods(1), value: 0 }] }), /behavior\.scaleUp\.policies\[0\]\.value: .*>=1/);
  refused(of({ policies: [pods(1, 1801)] }), /policies\[0\]\.periodSeconds: .*<=1800/);
  refused(of({ policies: [{ ...pods(1), type: 'pods' }] }), /policies\[0\]\.type: .*"Pods"\|"Percent"/);
  refused(of({ stabilizationWindowSeconds: 3601 }), /stabilizationWindowSeconds: .*<=3600/);
  refused(of({ selectPolicy: 'Most' }), /selectPolicy: .*"Max"\|"Min"\|"Disabled"/);
  refused(of({ tolerance: '5%' }), /scaleUp\.tolerance: must be a quantity of 0 or more, as 0\.05 or "50m"/);
  refused({ behavior: { scaleup: {} } }, /behavior: .*"scaleup"/);
  refused({ history: { scaled: [{ secondsAgo: 1, change: 0 }] } }, /history\.scaled\[0\]\.change: must be above 0/);
  refused({ history: { recommendations: [{ secondsAgo: -1, replicas: 1 }] } }, /recommendations\[0\]\.secondsAgo/);
  refused({ mode: 'drain' }, /case a: behavior is the HPA's, so it needs mode "keda"/);
});
