/**
 * The service level: every threshold of every load scenario, each with its reason. k6 takes its thresholds from here,
 * and so does the report. Pure, since k6 reads it too.
 */
import type { Scenario, Size } from './scenarios.ts';

export interface Objective {
  /** In words. */
  readonly name: string;
  /** A metric of k6, or one of the platform's (PLATFORM_METRICS). */
  readonly metric: string;
  /** A threshold in k6's form: `p(99)<1000`. */
  readonly rule: string;
  readonly reason: string;
}

/** Told by the platform itself after the run, not by k6. */
export const PLATFORM_METRICS = ['proof_problems', 'units_oversold', 'units_sold', 'memory_growth'] as const;
export type PlatformMetric = (typeof PLATFORM_METRICS)[number];

export const isPlatformMetric = (metric: string): metric is PlatformMetric =>
  (PLATFORM_METRICS as readonly string[]).includes(metric);

/** Memory is judged only after this: before, heaps still grow to the size that suits them. */
export const SOAK_JUDGED_AFTER_S = 300;

const latency = (name: string, tags: string, rule: string, reason: string): Objective => ({
  name,
  metric: `http_req_duration{${tags}}`,
  rule,
  reason,
});

/** What every scenario must keep. */
function promises({ buyers, stock }: Size): Objective[] {
  return [
    {
      name: 'answers and endings',
      metric: 'broken_promises',
      rule: 'rate==0',
      reason: 'Every answer is one that the contract knows, and every purchase that is followed comes to an end.',
    },
    {
      name: 'the proof',
      metric: 'proof_problems',
      rule: 'value==0',
      reason: 'Redis, Kafka and the ledger agree on every unit and every purchase.',
    },
    {
      name: 'oversold',
      metric: 'units_oversold',
      rule: 'value==0',
      reason: 'Never one unit too many: the first promise.',
    },
    {
      name: 'sold',
      metric: 'units_sold',
      rule: `value==${Math.min(stock, buyers)}`,
      reason: 'Everybody can pay, so nobody may be turned away while a unit is left, and no unit may be left over.',
    },
  ];
}

/** In an open model a dropped arrival means that k6, not the platform, was too slow: the figures would flatter. */
const arrivals: Objective = {
  name: 'arrivals that k6 dropped',
  metric: 'dropped_iterations',
  rule: 'count==0',
  reason: 'The crowd must be as large as it is said to be, or the figures flatter.',
};

/** Heard by WebSocket. */
const heard: readonly Objective[] = [
  {
    name: 'endings heard by WebSocket',
    metric: 'heard',
    rule: 'rate>0.99',
    reason: 'A push may be lost, and the buyer then asks; but that is the exception.',
  },
  {
    name: 'from the answer to "paid"',
    metric: 'paid_after',
    rule: 'p(95)<5000',
    reason: 'Charge, ledger and push: after five seconds without news people reload the page.',
  },
];

const A_SECOND = 'People wait about a second before they press the button again (Nielsen, Response Times, 1993).';

const BY_SCENARIO: Readonly<Record<Scenario, (size: Size) => readonly Objective[]>> = {
  smoke: () => [
    latency('a purchase', 'name:purchase', 'p(95)<2000', 'The way is open; a smoke test does not judge its speed.'),
    ...heard,
  ],
  'open-rush': () => [latency('a purchase', 'name:purchase', 'p(99)<1000', A_SECOND), arrivals],
  'sold-out-storm': () => [
    latency(
      'a purchase, mostly refused',
      'name:purchase',
      'p(99)<500',
      '"Sold out" is told from memory: it takes half of what a purchase may take at most.',
    ),
    arrivals,
  ],
  'browse-and-buy': () => [
    latency('a page', 'kind:page', 'p(95)<300', 'Pages come from the cache; beyond 0.3 s a shop feels slow.'),
    latency('a purchase', 'name:purchase', 'p(99)<1000', A_SECOND),
    ...heard,
    arrivals,
  ],
  soak: ({ seconds }) => [
    latency('a purchase', 'name:purchase', 'p(99)<1000', A_SECOND),
    arrivals,
    ...(seconds < SOAK_JUDGED_AFTER_S
      ? []
      : [
          {
            name: 'memory, the last fifth against the second',
            metric: 'memory_growth',
            rule: 'value<1.2',
            reason: 'What grows without end falls over in the night. The first fifth is the warm-up.',
          },
        ]),
  ],
  spike: () => [
    latency('a purchase, before', 'name:purchase,scenario:before', 'p(99)<1000', A_SECOND),
    latency(
      'a purchase, at 150 %',
      'name:purchase,scenario:peak',
      'p(99)<2000',
      'Half more than was declared may be slower, but is still served.',
    ),
    latency(
      'a purchase, after',
      'name:purchase,scenario:after',
      'p(99)<1000',
      'When the spike is over it is over: no backlog is left behind.',
    ),
    arrivals,
  ],
};

/** All objectives of a run of this size. */
export function objectivesOf(scenario: Scenario, size: Size): Objective[] {
  return [...promises(size), ...BY_SCENARIO[scenario](size)];
}

/** In the form of k6's `options.thresholds`. */
export function k6Thresholds(scenario: Scenario, size: Size): Record<string, string[]> {
  const thresholds: Record<string, string[]> = {};
  for (const { metric, rule } of objectivesOf(scenario, size)) {
    if (!isPlatformMetric(metric)) (thresholds[metric] ??= []).push(rule);
  }
  return thresholds;
}

const RULE = /^(\w+(?:\(\d+(?:\.\d+)?\))?)(<=|>=|==|<|>)(\d+(?:\.\d+)?)$/;

export interface Rule {
  /** `rate`, `count`, `value` or `p(99)`. */
  readonly of: string;
  readonly operator: string;
  readonly bound: number;
}

/** Throws where the rule is none. */
export function parseRule(rule: string): Rule {
  const [, of, operator, bound] = RULE.exec(rule) ?? [];
  if (of === undefined || operator === undefined) throw new SyntaxError(`"${rule}" is no threshold`);
  return { of, operator, bound: Number(bound) };
}

const OPERATORS: Readonly<Record<string, (value: number, bound: number) => boolean>> = {
  '<': (value, bound) => value < bound,
  '<=': (value, bound) => value <= bound,
  '>': (value, bound) => value > bound,
  '>=': (value, bound) => value >= bound,
  '==': (value, bound) => value === bound,
};

export function isHeld(rule: string, value: number): boolean {
  const { operator, bound } = parseRule(rule);
  return OPERATORS[operator]?.(value, bound) ?? false;
}
