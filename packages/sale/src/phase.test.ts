/** The life of a sale: the table of moves, and which move is due. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { canMove, isFinal, nextPhase, PHASE_MOVES, unsoundMoves } from './phase.ts';
import type { PhaseMoves } from './phase.ts';
import type { SaleFacts } from './readiness.ts';
import { drop, ready } from './sale.fixture.ts';
import { PHASES } from './types.ts';
import type { Phase } from './types.ts';

const at = (minutes: number): number => minutes * 60_000;
const cold: SaleFacts = { ...ready, items: undefined };
const slow: SaleFacts = { ...ready, readyReplicas: new Map([['Deployment/payments', 19]]) };
const sold: SaleFacts = { ...ready, items: new Map([['shoe', { stock: 10, free: 9, held: 0, sold: 1 }]]) };
const held: SaleFacts = { ...ready, items: new Map([['shoe', { stock: 10, free: 9, held: 1, sold: 0 }]]) };
const policy = (facts: SaleFacts, notReady: 'Delay' | 'Open' | 'Abort'): SaleFacts => ({
  ...facts,
  sale: { ...drop, notReady },
});

test('the table of moves is sound', () => assert.deepEqual(unsoundMoves(PHASE_MOVES), []));

test('an unsound table is found out', () => {
  const broken: PhaseMoves = { ...PHASE_MOVES, Draining: [], Closed: ['Open'], Open: ['Open'] };
  assert.deepEqual(unsoundMoves(broken), [
    'Open leads to itself',
    'Draining is not final but has no way out',
    'Closed cannot be reached from Scheduled',
    'Closed is final but has a way out',
  ]);
});

interface Case {
  readonly why: string;
  readonly from: Phase;
  readonly facts: SaleFacts;
  readonly minute: number;
  readonly to: Phase;
  readonly reason: string;
}
const CASES: readonly Case[] = [
  { why: 'before the lead time', from: 'Scheduled', facts: cold, minute: 49, to: 'Scheduled', reason: 'Waiting' },
  { why: 'at the lead time', from: 'Scheduled', facts: cold, minute: 50, to: 'Warming', reason: 'LeadTimeReached' },
  {
    why: 'an opening nearer than the lead time',
    from: 'Scheduled',
    facts: cold,
    minute: 59,
    to: 'Warming',
    reason: 'LeadTimeReached',
  },
  {
    why: 'a bad resource',
    from: 'Scheduled',
    facts: { ...cold, problems: [{ field: 'a', message: 'b' }] },
    minute: 55,
    to: 'Scheduled',
    reason: 'NotAccepted',
  },
  {
    why: 'deleted before warm-up',
    from: 'Scheduled',
    facts: { ...cold, deleting: true },
    minute: 1,
    to: 'Aborted',
    reason: 'Deleted',
  },
  {
    why: 'first seen after the closing',
    from: 'Scheduled',
    facts: cold,
    minute: 90,
    to: 'Aborted',
    reason: 'NeverOpened',
  },
  {
    why: 'status lost after a sale that sold',
    from: 'Scheduled',
    facts: sold,
    minute: 95,
    to: 'Draining',
    reason: 'SoldBefore',
  },
  { why: 'still loading', from: 'Warming', facts: cold, minute: 55, to: 'Warming', reason: 'NotReady' },
  { why: 'all rules pass', from: 'Warming', facts: ready, minute: 55, to: 'Armed', reason: 'Ready' },
  { why: 'Delay: waits for its consumers', from: 'Warming', facts: slow, minute: 61, to: 'Warming', reason: 'Delayed' },
  {
    why: 'Delay: ready at last, armed at once',
    from: 'Warming',
    facts: ready,
    minute: 61,
    to: 'Armed',
    reason: 'Ready',
  },
  { why: 'Delay: never ready', from: 'Warming', facts: slow, minute: 90, to: 'Aborted', reason: 'NeverOpened' },
  {
    why: 'Open: without its consumers',
    from: 'Warming',
    facts: policy(slow, 'Open'),
    minute: 60,
    to: 'Open',
    reason: 'OpenedNotReady',
  },
  {
    why: 'Open: never without stock',
    from: 'Warming',
    facts: policy(cold, 'Open'),
    minute: 60,
    to: 'Warming',
    reason: 'NoStock',
  },
  {
    why: 'Open: not before the opening',
    from: 'Warming',
    facts: policy(slow, 'Open'),
    minute: 59,
    to: 'Warming',
    reason: 'NotReady',
  },
  {
    why: 'Abort',
    from: 'Warming',
    facts: policy(slow, 'Abort'),
    minute: 60,
    to: 'Aborted',
    reason: 'NotReadyAtOpening',
  },
  {
    why: 'Abort: but somebody has bought',
    from: 'Warming',
    facts: policy({ ...sold, cachedPages: 0 }, 'Abort'),
    minute: 60,
    to: 'Draining',
    reason: 'SoldBefore',
  },
  {
    why: 'deleted while warming',
    from: 'Warming',
    facts: { ...ready, deleting: true },
    minute: 55,
    to: 'Aborted',
    reason: 'Deleted',
  },
  { why: 'a re-check fails', from: 'Armed', facts: slow, minute: 59, to: 'Warming', reason: 'CheckFailed' },
  { why: 'a re-check passes', from: 'Armed', facts: ready, minute: 59, to: 'Armed', reason: 'Ready' },
  { why: 'the opening', from: 'Armed', facts: ready, minute: 60, to: 'Open', reason: 'OpeningReached' },
  {
    why: 'the gate opened by the clock, whatever the re-check says now',
    from: 'Armed',
    facts: cold,
    minute: 60,
    to: 'Open',
    reason: 'OpeningReached',
  },
  {
    why: 'deleted just before the opening',
    from: 'Armed',
    facts: { ...ready, deleting: true },
    minute: 59,
    to: 'Aborted',
    reason: 'Deleted',
  },
  {
    why: 'deleted just after it: buyers may have bought',
    from: 'Armed',
    facts: { ...ready, deleting: true },
    minute: 60,
    to: 'Open',
    reason: 'OpeningReached',
  },
  {
    why: 'pause is no phase',
    from: 'Open',
    facts: { ...ready, sale: { ...drop, paused: true } },
    minute: 70,
    to: 'Open',
    reason: 'Open',
  },
  { why: 'lost stock is no phase either', from: 'Open', facts: cold, minute: 70, to: 'Open', reason: 'Open' },
  { why: 'the closing', from: 'Open', facts: held, minute: 90, to: 'Draining', reason: 'ClosingReached' },
  {
    why: 'deleted while open',
    from: 'Open',
    facts: { ...held, deleting: true },
    minute: 70,
    to: 'Draining',
    reason: 'Deleted',
  },
  { why: 'units in payment', from: 'Draining', facts: held, minute: 91, to: 'Draining', reason: 'Unsettled' },
  {
    why: 'entries in the outbox',
    from: 'Draining',
    facts: { ...sold, outbox: 1 },
    minute: 91,
    to: 'Draining',
    reason: 'Unsettled',
  },
  {
    why: 'records to be read',
    from: 'Draining',
    facts: { ...sold, lag: 1 },
    minute: 91,
    to: 'Draining',
    reason: 'Unsettled',
  },
  { why: 'all settled', from: 'Draining', facts: sold, minute: 91, to: 'Closed', reason: 'Settled' },
];
for (const { why, from, facts, minute, to, reason } of CASES) {
  test(`${from}: ${why}`, () => {
    const next = nextPhase({ ...facts, phase: from }, at(minute));
    assert.deepEqual([next.phase, next.reason], [to, reason]);
    assert.notEqual(next.message, '');
  });
}

test('Draining: what cannot be read is never taken for empty', () => {
  for (const missing of ['items', 'outbox', 'lag'] as const) {
    const { phase } = nextPhase({ ...sold, phase: 'Draining', [missing]: undefined }, at(91));
    assert.equal(phase, 'Draining', missing);
  }
});

const level = fc
  .record({ free: fc.nat(10), held: fc.nat(2), sold: fc.nat(2) })
  .map((l) => ({ ...l, stock: l.free + l.held + l.sold }));
const facts: fc.Arbitrary<SaleFacts> = fc.record({
  sale: fc
    .record({ notReady: fc.constantFrom('Delay' as const, 'Open' as const, 'Abort' as const), paused: fc.boolean() })
    .map((o) => ({ ...drop, ...o })),
  phase: fc.constantFrom(...PHASES),
  problems: fc.constantFrom([], [{ field: 'a', message: 'b' }]),
  deleting: fc.boolean(),
  items: fc.option(
    fc.oneof(
      fc.constant(ready.items ?? new Map()),
      fc.record({ shoe: level, hat: level }).map((o) => new Map(Object.entries(o))),
    ),
    { nil: undefined },
  ),
  allocated: fc.constantFrom(ready.allocated, undefined),
  cachedPages: fc.constantFrom(0, 22, undefined),
  readyReplicas: fc.constantFrom(ready.readyReplicas, new Map<string, number>()),
  outbox: fc.constantFrom(0, 1, undefined),
  lag: fc.constantFrom(0, 1, undefined),
  proof: fc.constant(undefined),
});

test('only legal moves, for any facts and any time', () => {
  fc.assert(
    fc.property(facts, fc.integer({ min: 0, max: at(120) }), (given, now) => {
      const { phase } = nextPhase(given, now);
      assert.ok(phase === given.phase || canMove(given.phase, phase), `${given.phase} to ${phase}`);
    }),
  );
});

test('from any facts the moves come to rest, and no sale that has sold is aborted', () => {
  fc.assert(
    fc.property(facts, fc.integer({ min: 0, max: at(120) }), (given, now) => {
      let current = given;
      for (let moves = 0; ; moves++) {
        assert.ok(moves <= PHASES.length, 'the sale goes round in a circle');
        const { phase } = nextPhase(current, now);
        if (phase === current.phase) break;
        current = { ...current, phase };
      }
      const traded = [...(given.items?.values() ?? [])].some((one) => one.held + one.sold > 0);
      if (traded && current.phase === 'Aborted') assert.ok(isFinal(given.phase));
    }),
  );
});

test('nothing opens before its time or without stock', () => {
  fc.assert(
    fc.property(facts, fc.integer({ min: 0, max: at(120) }), (given, now) => {
      const { phase } = nextPhase(given, now);
      if (phase !== 'Open' || given.phase === 'Open') return;
      assert.ok(now >= drop.opensAt);
      if (given.phase === 'Warming') assert.ok(given.items);
    }),
  );
});
