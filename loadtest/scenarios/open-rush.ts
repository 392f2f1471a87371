/**
 * The opening of a sale, for k6: different buyers arrive at a fixed rate, whatever the answers take (open model), each
 * buys once; afterwards each asks again with the same key, and as many have paid as there was stock, never one more.
 * Environment: BASE_URL, SALE, SKU, STOCK, TOKENS_FILE (one access token a line), RATE (arrivals a second).
 */
import { check, sleep } from 'k6';
import { SharedArray } from 'k6/data';
import exec from 'k6/execution';
import http, { type RefinedResponse } from 'k6/http';
import { Counter, Rate } from 'k6/metrics';

const BASE_URL = __ENV['BASE_URL'] ?? 'http://127.0.0.1:8080';
const SALE = __ENV['SALE'] ?? '';
const SKU = __ENV['SKU'] ?? '';
const STOCK = Number(__ENV['STOCK']);
const RATE = Number(__ENV['RATE'] ?? 200);
const TOKENS_FILE = __ENV['TOKENS_FILE'] ?? '';
if (SALE === '' || SKU === '' || TOKENS_FILE === '' || !(STOCK > 0)) {
  throw new Error('Set SALE, SKU, STOCK and TOKENS_FILE; `node loadtest/src/k6.ts` does.');
}

const tokens = new SharedArray('tokens', () => open(TOKENS_FILE).trim().split('\n'));
/** A buyer who is told to come again does, so often, and then gives up. */
const ATTEMPTS = 5;
/** Longest wait for a purchase to be paid or refused, in polls of half a second. */
const POLLS = 60;
const rushSeconds = Math.ceil(tokens.length / RATE);

const reserved = new Counter('purchases_reserved');
const soldOut = new Counter('purchases_sold_out');
const paid = new Counter('purchases_paid');
const otherwise = new Counter('purchases_otherwise');
/** Answers that the contract does not know, or a purchase that never came to an end. */
const broken = new Rate('broken_promises');

export const options = {
  scenarios: {
    rush: {
      executor: 'constant-arrival-rate',
      exec: 'rush',
      rate: RATE,
      timeUnit: '1s',
      duration: `${rushSeconds}s`,
      preAllocatedVUs: Math.min(RATE, 200),
      maxVUs: Math.min(RATE * 2, 1_000),
    },
    settle: {
      executor: 'shared-iterations',
      exec: 'settle',
      startTime: `${rushSeconds + 10}s`,
      vus: 50,
      iterations: tokens.length,
      maxDuration: '5m',
    },
  },
  thresholds: {
    // The service level: nearly every buyer knows within a second, and every answer is one of the contract's.
    'http_req_duration{scenario:rush}': ['p(99)<1000'],
    broken_promises: ['rate==0'],
    checks: ['rate==1'],
    dropped_iterations: ['count==0'],
    // Never one unit too many.
    purchases_paid: [`count<=${STOCK}`],
  },
};

/** One buyer's purchase. The name keeps k6 from one series of metrics a URL. */
function buy(token: string): RefinedResponse<'text'> {
  return http.post(`${BASE_URL}/api/v1/sales/${SALE}/purchases`, JSON.stringify({ sku: SKU, quantity: 1 }), {
    headers: {
      Authorization: `Bearer ${token}`,
      'Idempotency-Key': `k6-${SALE}`,
      'Content-Type': 'application/json',
    },
    tags: { name: 'purchase' },
    responseCallback: http.expectedStatuses(202, 409, 425, 429, 503),
  });
}

/** Buys, and comes again where it is told to, after the time it is told. */
function buyPatiently(token: string): RefinedResponse<'text'> {
  let answer = buy(token);
  for (let attempt = 1; attempt < ATTEMPTS && [425, 429, 503].includes(answer.status); attempt++) {
    sleep(Number(answer.headers['Retry-After'] ?? 1));
    answer = buy(token);
  }
  return answer;
}

function tokenOf(iteration: number): string | undefined {
  return tokens[iteration];
}

export function rush(): void {
  const token = tokenOf(exec.scenario.iterationInTest);
  // The rate fills whole seconds: there may be more arrivals than buyers.
  if (token === undefined) return;
  const answer = buyPatiently(token);
  const isSoldOut = answer.status === 409 && answer.json('code') === 'sold_out';
  if (answer.status === 202) reserved.add(1);
  if (isSoldOut) soldOut.add(1);
  broken.add(answer.status !== 202 && !isSoldOut);
}

/** The same request again: whoever has a purchase gets that one, and follows it to its end. */
export function settle(): void {
  const token = tokenOf(exec.scenario.iterationInTest);
  if (token === undefined) return;
  const answer = buyPatiently(token);
  if (answer.status !== 202) return;
  const path = answer.headers['Location'] ?? '';
  let status = 'reserved';
  for (let poll = 0; poll < POLLS && status === 'reserved'; poll++) {
    const found = http.get(`${BASE_URL}${path}`, {
      headers: { Authorization: `Bearer ${token}` },
      tags: { name: 'status' },
    });
    if (found.status === 200) status = found.json('status') as string;
    if (status === 'reserved') sleep(0.5);
  }
  broken.add(status === 'reserved');
  if (status === 'paid') paid.add(1);
  else otherwise.add(1);
}

/** What the sale says of itself at the end: neither less than nothing left nor more than there was. */
export function teardown(): void {
  const sale = http.get(`${BASE_URL}/api/v1/sales/${SALE}`);
  const items = sale.json('items') as unknown as { sku: string; remaining: number }[];
  const remaining = items.find(({ sku }) => sku === SKU)?.remaining;
  check(remaining, { 'nothing is oversold': (left) => left !== undefined && left >= 0 && left <= STOCK });
}
