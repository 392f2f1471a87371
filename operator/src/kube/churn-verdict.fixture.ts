/** Whether a sale of the churn is as its owner's last word and its clock ask for, in the resource and in Redis. Pure. */
import { isDeepStrictEqual } from 'node:util';
import { isFinal, type Phase } from '@flashsale/sale';
import type { SaleStatus } from '../status.ts';
import { SKU } from '../world.fixture.ts';
import type { Kind } from './churn-plan.fixture.ts';
import type { FlashSaleObject } from './resources.ts';

export interface Spec {
  readonly opensAt: string;
  readonly closesAt: string;
  readonly paused: boolean;
  readonly items: readonly [
    {
      readonly sku: string;
      readonly stock: number;
      readonly title: string;
      readonly price: { readonly amount: string; readonly currency: string };
    },
  ];
}

/** A sale that is there. */
export interface Expected {
  readonly kind: Kind;
  /** As the server gave it back when its owner wrote it last. */
  readonly spec: Spec;
  readonly generation: number;
  readonly labels: Readonly<Record<string, string>>;
  /** Annotation of another field manager; empty where it made none. */
  readonly note: string;
  /** Units that buyers were told are theirs. */
  readonly sold: number;
  /** An earlier sale of its name has sold. */
  readonly nameTaken: boolean;
}

type Check = readonly [what: string, found: unknown, expected: unknown];
const PHASES: Readonly<Record<Kind, Phase>> = { over: 'Closed', open: 'Open', armed: 'Armed', scheduled: 'Scheduled' };

/** What was found of a sale. */
export interface Found {
  readonly object: FlashSaleObject | undefined;
  /** Of it in Redis. */
  readonly keys: readonly string[];
  /** It was Open at some time. */
  readonly opened: boolean;
}

/** What is not as it must be, in words; empty where all is. `expected` undefined: deleted. */
export function problemsOf(expected: Expected | undefined, { object, keys, opened }: Found, now: number): string[] {
  if (!expected)
    return different([
      ['resource', object, undefined],
      ['keys in Redis', keys, []],
    ]);
  const status = object?.status as SaleStatus | undefined;
  if (!object || !status) return ['there is no resource, or no status'];
  const checks = expected.nameTaken ? refusedFor(expected, status, now) : standing(expected, status, opened);
  return different([...writtenAs(expected, object, status), ...checks]);
}

function different(checks: readonly Check[]): string[] {
  const wrong = checks.filter(([, found, expected]) => !isDeepStrictEqual(found, expected));
  return wrong.map(([what, found, expected]) => `${what}: ${JSON.stringify(found)}, not ${JSON.stringify(expected)}`);
}

/** Nobody's write was lost, and the status is about the last one. */
function writtenAs(expected: Expected, { metadata, spec }: FlashSaleObject, status: SaleStatus): Check[] {
  return [
    ['deletionTimestamp', metadata.deletionTimestamp, undefined],
    ['spec', spec, expected.spec],
    ['generation', metadata.generation, expected.generation],
    ['observedGeneration', status.observedGeneration, expected.generation],
    ['labels', metadata.labels, expected.labels],
    ['annotation', metadata.annotations?.['test/note'] ?? '', expected.note],
  ];
}

/**
 * Leaders that are killed may leave a sale unready until it is over: then it is Aborted, as any that was never opened.
 * Not where somebody has bought, and not where it was Open.
 */
function standing(expected: Expected, status: SaleStatus, opened: boolean): Check[] {
  const never = expected.kind === 'over' && expected.sold === 0 && !opened && status.phase === 'Aborted';
  if (never) return [['proof', status.proof, undefined]];
  return [...acceptedAs(expected, status), ...soldAs(expected, status)];
}

function acceptedAs({ kind, spec, sold }: Expected, { phase, conditions, gate }: SaleStatus): Check[] {
  const told = gate.split(' ')[1] ?? '';
  const wanted = spec.paused ? 'shut' : 'open';
  return [
    ['phase', phase, PHASES[kind]],
    // Lowered below what was bought at that moment: the owner is told to write at least so much.
    ['Accepted', conditionOf(conditions, 'Accepted'), spec.items[0].stock < sold ? 'False' : 'True'],
    ['Conserved', conditionOf(conditions, 'Conserved'), kind === 'scheduled' ? 'Unknown' : 'True'],
    ['gate', kind === 'scheduled' || isFinal(phase) ? wanted : told, wanted],
  ];
}

/** Stock that was lowered just while it was bought stays at what was bought. */
function soldAs({ kind, spec, sold }: Expected, { items, proof }: SaleStatus): Check[] {
  if (kind === 'scheduled') return [];
  const stock = Math.max(spec.items[0].stock, sold);
  const levels: Check = ['items', items, [{ sku: SKU, stock, free: stock - sold, held: 0, sold }]];
  if (kind !== 'over') return [levels];
  return [levels, ['proof', [proof?.holds, proof?.sold, proof?.problems], [true, sold, []]]];
}

/** A name that has sold belongs to the sale that sold: another of that name never begins. */
function refusedFor({ spec }: Expected, { phase, conditions, items }: SaleStatus, now: number): Check[] {
  const begun: Check = ['items', items, []];
  if (now >= Date.parse(spec.closesAt)) return [begun, ['phase', phase, 'Aborted']];
  const message = conditions.find(({ type }) => type === 'Accepted')?.message ?? '';
  return [begun, ['phase', phase, 'Scheduled'], ['refused for its name', message.includes('has sold before'), true]];
}

const conditionOf = (conditions: SaleStatus['conditions'], name: string): string | undefined =>
  conditions.find(({ type }) => type === name)?.status;
