/** The sums that tables show. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Sale } from '@flashsale/sale';
import { stringify } from 'yaml';
import { document } from './api/documents.fixture.ts';
import { parseFlashSale } from './api/flashsale.ts';
import { newStatus, statusSchema, withCondition, withSummary } from './status.ts';

const sale = parseFlashSale(stringify(document({}))).sale as Sale;

test('the summary adds up items and workloads', () => {
  const target = { target: 'Deployment/payments', lag: 5, desired: 20, ready: 18, before: 1 };
  const item = { sku: 'shoe', stock: 10, free: 3, held: 2, sold: 5 };
  const items = [item, { ...item, sku: 'hat', stock: 5, sold: 1 }];
  const scale = [target, { ...target, target: 'StatefulSet/orders', lag: 7, ready: 20 }];
  const { summary } = withSummary({ ...newStatus, items, scale }, sale);
  assert.deepEqual(summary, { stock: 15, sold: 6, lag: 12, ready: '38/40' });
});

test('what is on sale is known before anything was warmed', () => {
  const status = withSummary(newStatus, sale);
  assert.deepEqual(status.summary, { stock: 15, sold: 0, lag: 0, ready: '0/0' });
  assert.equal(statusSchema.safeParse(status).success, true);
});

test('words that are too long for the API server are cut, so that the rest is written', () => {
  const message = 'x'.repeat(40_000);
  const finding = { type: 'Armed', status: 'False', reason: 'Failed', message } as const;
  const status = withSummary({ ...newStatus, message, conditions: withCondition([], finding, 1, 0) }, sale);
  assert.equal(statusSchema.safeParse(status).success, true);
});
