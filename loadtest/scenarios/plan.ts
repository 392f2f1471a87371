/** What a scenario is told (environment PLAN, JSON), its buyers' tokens, and the options that all scenarios share. */
import { SharedArray } from 'k6/data';
import { FOLLOW_SECONDS, MOST_FOLLOWED, PAUSE_SECONDS, stagesOf, type Plan } from '../src/scenarios.ts';
import { k6Thresholds } from '../src/slo.ts';

const text = __ENV['PLAN'];
if (text === undefined) throw new Error('PLAN is not set: run this by `npm run load -- SCENARIO`.');
export const plan = JSON.parse(text) as Plan;

const tokens = new SharedArray('tokens', () => open(plan.tokensFile).trim().split('\n'));

/** The token of a buyer by his number in the run; undefined where the rate made more arrivals than there are buyers. */
export function tokenOf(buyer: number): string | undefined {
  return tokens[buyer];
}

export const stages = stagesOf(plan.scenario, plan);
const rushSeconds = stages.reduce((sum, { seconds }) => sum + seconds, 0);

/** Buyers that k6 keeps at once: `longest` is how many seconds one takes, at the slowest that is still served. */
function arrivals(exec: string, longest: number): Record<string, object> {
  let start = 0;
  const all: Record<string, object> = {};
  for (const { name, rate, seconds } of stages) {
    const maxVUs = Math.max(20, Math.min(Math.ceil(rate * longest), 2_000));
    all[name] = {
      executor: 'constant-arrival-rate',
      exec,
      rate,
      timeUnit: '1s',
      startTime: `${start}s`,
      duration: `${seconds}s`,
      preAllocatedVUs: Math.min(maxVUs, Math.max(20, rate)),
      maxVUs,
      gracefulStop: '60s',
    };
    start += seconds;
  }
  return all;
}

/** K6's options: buyers arrive in an open model, each runs `exec`; afterwards they ask again and follow their purchases (`settle`). */
export function optionsFor(exec: string, longest = 3): object {
  return {
    scenarios: {
      ...arrivals(exec, longest),
      settle: {
        executor: 'shared-iterations',
        exec: 'settle',
        startTime: `${rushSeconds + PAUSE_SECONDS}s`,
        vus: Math.min(50, plan.buyers),
        iterations: Math.min(plan.buyers, MOST_FOLLOWED),
        maxDuration: `${FOLLOW_SECONDS}s`,
      },
    },
    thresholds: k6Thresholds(plan.scenario, plan),
    summaryTrendStats: ['count', 'med', 'p(90)', 'p(95)', 'p(99)', 'max'],
    // Connections are the buyers' own, as browsers have them, but kept between the requests of one.
    noVUConnectionReuse: false,
    setupTimeout: '30s',
    teardownTimeout: '30s',
  };
}
