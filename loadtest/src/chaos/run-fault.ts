/** One row of the table: a rush, a fault in the middle of it, and what it cost. */
import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from '@flashsale/local/e2e/test-platform';
import type { RushReport } from '@flashsale/local/rush/rush';
import { internalClient } from '@flashsale/platform/http';
import { SHARDS } from './cluster-faults.ts';
import type { Fault } from './fault.ts';
import type { Ground } from './ground.ts';
import { PULSE, Pulse } from './recovery.ts';

export interface Crowd {
  readonly buyers: number;
  readonly stock: number;
  readonly concurrency: number;
  /** Of the sale; 60 s where absent. What a failover took back is free again after that. */
  readonly holdFor?: string;
}

export interface Row {
  readonly fault: string;
  /** From when the fault was cleared until the first buyer who came after that had paid; null: not within a minute. */
  readonly recoveryS: number | null;
  /** Buyers who were told that they have it, beyond what the ledger has. */
  readonly lost: number;
  readonly oversold: number;
  /** Purchases and buyers without an ending. */
  readonly unsettled: number;
  /** Units left over though buyers were told that all is sold. */
  readonly leftOver: number;
  /** 99th percentile of a buyer's wait for his answer, further tries included. */
  readonly waitP99Ms: number;
  readonly retries: number;
  /** What is not as it must be, in words; empty where all is. */
  readonly problems: readonly string[];
}

const TAKEN_WITHIN_MS = 60_000;
const VIEW_MS = 5_000;

/** Runs the rush and the fault. Throws where the rush itself cannot be had. */
export async function runFault(ground: Ground, fault: Fault, sale: string, size: Crowd): Promise<Row> {
  const restore = await fault.prepare?.(ground);
  try {
    return await strike(ground, fault, sale, { ...size, ...fault.crowd });
  } finally {
    await restore?.();
  }
}

async function strike(ground: Ground, fault: Fault, sale: string, crowd: Crowd): Promise<Row> {
  const { platform } = ground;
  const { stock, holdFor = '60s' } = crowd;
  await platform.apply(sale, { stock, holdFor, shards: SHARDS });
  const pulse = await Pulse.of(platform);
  let outcome: Outcome;
  try {
    await platform.until(sale, 'Open', (status) => status.phase === 'Open', TAKEN_WITHIN_MS);
    pulse.begin();
    const rush = platform.rush(sale, crowd.buyers, crowd.concurrency);
    // Its failure is told below, after the fault is cleared.
    rush.catch(() => undefined);
    await untilTaken(ground, sale, stock / 10);
    const clear = await fault.strike(ground, sale);
    await pause(fault.lastsMs);
    await clear();
    const recoveryS = await pulse.recovered();
    outcome = { recoveryS, report: await rush };
  } finally {
    await pulse.end();
  }
  return judge(ground, fault, sale, outcome);
}

interface Outcome {
  readonly report: RushReport;
  readonly recoveryS: number | undefined;
}

async function judge({ platform }: Ground, fault: Fault, sale: string, outcome: Outcome): Promise<Row> {
  const { report, recoveryS } = outcome;
  const [proof, pulse] = [await platform.proof(sale), await platform.proof(PULSE)];
  const row = {
    fault: fault.name,
    recoveryS: recoveryS === undefined ? null : Math.round(recoveryS * 100) / 100,
    lost: Math.max(0, report.sold - proof.sold),
    oversold: proof.oversold + pulse.oversold,
    unsettled: report.unsettled + proof.unsettled + pulse.unsettled,
    leftOver: report.soldOut > 0 ? proof.free : 0,
    waitP99Ms: report.waitP99Ms,
    retries: report.retries,
  };
  const errors = Object.entries(report.errorCodes).map(([code, n]) => `${n} buyers were answered ${code}`);
  return { ...row, problems: [...promises(row), ...errors, ...proof.problems, ...pulse.problems] };
}

/** The promises that a fault may not break. */
function promises(row: Omit<Row, 'problems'>): string[] {
  const broken = (['lost', 'oversold', 'unsettled', 'leftOver'] as const).filter((name) => row[name] > 0);
  return [
    ...broken.map((name) => `${name}: ${row[name]}`),
    ...(row.recoveryS === null ? ['nobody could buy within a minute after the fault was cleared'] : []),
  ];
}

/** The fault is to strike a rush that is under way. */
async function untilTaken({ platform }: Ground, sale: string, taken: number): Promise<void> {
  const edge = internalClient(platform.edge, VIEW_MS);
  interface View {
    readonly items: readonly { readonly stock: number; readonly remaining: number }[];
  }
  await eventually(`${taken} units of ${sale} are taken`, TAKEN_WITHIN_MS, async () => {
    // A large crowd may be all that the edge can take: then it asks this one to come back, too.
    const view = await edge.json<View>('GET', `/api/v1/sales/${sale}`).catch(() => undefined);
    const item = view?.items[0];
    return item && item.stock - item.remaining >= taken ? true : undefined;
  });
}
