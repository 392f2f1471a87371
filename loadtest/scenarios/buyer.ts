/** What one buyer does: buys, comes again where he is told to, and follows the purchase to its end. */
import { sleep } from 'k6';
import exec from 'k6/execution';
import http, { type RefinedResponse } from 'k6/http';
import { Counter, Rate } from 'k6/metrics';
import { MOST_FOLLOWED } from '../src/scenarios.ts';
import { plan, stages, tokenOf } from './plan.ts';

export type Answer = RefinedResponse<'text'>;

/** A buyer who is told to come again does, so often, and then gives up. */
const ATTEMPTS = 8;
/** Longest wait for an ending, in polls of half a second. */
const POLLS = 120;
/** Longest that a buyer waits before he comes again, in seconds. */
const MOST_WAIT = 10;
const REQUEST_TIMEOUT = '15s';

/** Every answer to a purchase, by its outcome. */
const answers = new Counter('answers');
/** Answers that the contract does not know, or purchases that never came to an end. */
const broken = new Rate('broken_promises');

export const bearer = (token: string): Record<string, string> => ({ Authorization: `Bearer ${token}` });

/** `name` keeps k6 from one series of metrics a URL. */
function buyOnce(token: string, name: string): Answer {
  const body = JSON.stringify({ sku: plan.sku, quantity: 1 });
  return http.post(`${plan.baseUrl}/api/v1/sales/${plan.sale}/purchases`, body, {
    headers: { ...bearer(token), 'Idempotency-Key': `k6-${plan.sale}`, 'Content-Type': 'application/json' },
    tags: { name },
    timeout: REQUEST_TIMEOUT,
    responseCallback: http.expectedStatuses(202, 409, 425, 429, 503),
    responseType: 'text',
  });
}

/** The code of a problem document; of an answer that is none, its status. */
function outcomeOf(answer: Answer): string {
  if (answer.status === 202) return 'reserved';
  if (!/json/.test(answer.headers['Content-Type'] ?? '')) return `status_${answer.status}`;
  const code = answer.json('code');
  return typeof code === 'string' ? code : `status_${answer.status}`;
}

const COME_AGAIN = ['sale_not_open', 'rate_limited', 'try_again_later', 'purchase_in_flight'];

/** Buys, and comes again where he is told to, after the time he is told. Each answer is counted. */
function buyPatiently(token: string, name: string): { answer: Answer; outcome: string } {
  for (let attempt = 1; ; attempt++) {
    const answer = buyOnce(token, name);
    const outcome = outcomeOf(answer);
    if (name === 'purchase') answers.add(1, { outcome });
    if (attempt === ATTEMPTS || !COME_AGAIN.includes(outcome)) return { answer, outcome };
    sleep(Math.min(Number(answer.headers['Retry-After'] ?? 1), MOST_WAIT));
  }
}

/** One purchase. Undefined where the buyer was turned away; else the address of the purchase. */
export function buy(token: string): string | undefined {
  const { answer, outcome } = buyPatiently(token, 'purchase');
  broken.add(outcome !== 'reserved' && outcome !== 'sold_out');
  return outcome === 'reserved' ? (answer.headers['Location'] ?? '') : undefined;
}

/** Asks until the purchase has come to its end. Undefined where it did not. */
export function follow(token: string, path: string): string | undefined {
  for (let poll = 0; poll < POLLS; poll++) {
    const found = http.get(`${plan.baseUrl}${path}`, {
      headers: bearer(token),
      tags: { name: 'status' },
      timeout: REQUEST_TIMEOUT,
      responseType: 'text',
    });
    const status = found.status === 200 ? (found.json('status') as string) : 'reserved';
    if (status !== 'reserved') return status;
    sleep(0.5);
  }
  return undefined;
}

/** The number in the run of the buyer that this iteration is. */
export function buyerNumber(): number {
  const from = stages.find(({ name }) => name === exec.scenario.name)?.from ?? 0;
  return from + exec.scenario.iterationInTest;
}

/** One arrival that only buys. */
export function arrive(): void {
  const token = tokenOf(buyerNumber());
  // The rate fills whole seconds: there may be more arrivals than buyers.
  if (token !== undefined) buy(token);
}

/** The same request again: whoever has a purchase gets that one and follows it to its end. */
export function settle(): void {
  // Those who are followed are spread over the whole run.
  const followed = exec.scenario.iterationInTest;
  const token = tokenOf(Math.floor((followed * plan.buyers) / Math.min(plan.buyers, MOST_FOLLOWED)));
  if (token === undefined) return;
  const { answer, outcome } = buyPatiently(token, 'purchase_again');
  if (outcome !== 'reserved') {
    broken.add(outcome !== 'sold_out');
    return;
  }
  broken.add(follow(token, answer.headers['Location'] ?? '') === undefined);
}

/** Says whether something was as it had to be. */
export function expect(isKept: boolean): void {
  broken.add(!isKept);
}

/** What k6 writes at the end: its summary into a file, for whoever started it. */
export function handleSummary(data: unknown): Record<string, string> {
  return { [plan.summaryFile]: JSON.stringify(data) };
}
