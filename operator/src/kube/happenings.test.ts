/** Which changes of a status are events. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newStatus, withCondition, type SaleStatus } from '../status.ts';
import { happenings } from './happenings.ts';

const told = (before: SaleStatus | undefined, after: SaleStatus): string[] =>
  happenings(before, after).map(({ type, reason, note }) => `${type} ${reason}: ${note}`);

function withFinding(status: SaleStatus, type: string, ok: boolean, message: string): SaleStatus {
  const finding = { type, status: ok ? 'True' : 'False', reason: 'R', message } as const;
  return { ...status, conditions: withCondition(status.conditions, finding, 1, 0) };
}

test('phases are told once, an abort as a warning', () => {
  const warming: SaleStatus = { ...newStatus, phase: 'Warming', message: 'the sale opens soon' };
  assert.deepEqual(told(undefined, newStatus), ['Normal Scheduled: ']);
  assert.deepEqual(told(newStatus, warming), ['Normal Warming: the sale opens soon']);
  assert.deepEqual(told(warming, { ...warming, message: 'other words' }), []);
  assert.deepEqual(told(warming, { ...warming, phase: 'Aborted' }), ['Warning Aborted: the sale opens soon']);
});

test('a refusal is told where it is new or says something else, and no other condition', () => {
  const good = withFinding(newStatus, 'Accepted', true, '');
  const bad = withFinding(good, 'Accepted', false, 'write at least 4');
  assert.deepEqual(told(good, bad), ['Warning Refused: write at least 4']);
  assert.deepEqual(told(bad, bad), []);
  assert.deepEqual(told(bad, withFinding(bad, 'Accepted', false, 'write less')), ['Warning Refused: write less']);
  assert.deepEqual(told(bad, good), []);
  assert.deepEqual(told(good, withFinding(good, 'Armed', false, 'not yet')), []);
  const broken = withFinding(good, 'Reconciled', false, 'one unit too many');
  assert.deepEqual(told(good, broken), ['Warning ProofBroken: one unit too many']);
});
