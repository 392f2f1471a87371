/** How far ahead of an opening workloads are scaled up, and how long they took to be Ready. Pure. */
import type { ScaleStatus } from './status.ts';

/** A workload that was never measured is given so much, in ms: an image may have to be pulled to a new node. */
const UNMEASURED_MS = 10 * 60_000;
const LEAST_MS = 60_000;
/** For a start that is slower than the last one. */
const RESERVE = 1.5;

export interface Opening {
  /** Unix ms. */
  readonly opensAt: number;
  readonly leadTimeMs: number;
}

/** When the scale-up starts, Unix ms: as late as is safe by what was measured, and not before the lead time. */
export function scaleUpAt({ opensAt, leadTimeMs }: Opening, readySeconds: number | undefined): number {
  const needed =
    readySeconds === undefined ? UNMEASURED_MS : Math.max(Math.ceil(readySeconds * 1000 * RESERVE), LEAST_MS);
  return opensAt - Math.min(needed, leadTimeMs);
}

export type Measured = Pick<ScaleStatus, 'askedAt' | 'readySeconds'>;

export interface Seen {
  readonly desired: number;
  readonly ready: number;
  /** Replicas asked for now. */
  readonly asked: number;
  /** A scale-up now is one ahead of the opening: those by lag are smaller, and quicker. */
  readonly ahead: boolean;
}

/** Carries the measurement on: begun by a scale-up, done once all its replicas are Ready, called off by a scale-down. */
export function measured(known: Measured | undefined, seen: Seen, now: number): Measured {
  const { readySeconds, askedAt } = known ?? {};
  if (askedAt !== undefined && seen.asked === seen.desired && seen.ready >= seen.asked) {
    return { readySeconds: Math.max(0, Math.ceil((now - Date.parse(askedAt)) / 1000)) };
  }
  const pending = pendingSince(askedAt, seen, now);
  return {
    ...(readySeconds === undefined ? {} : { readySeconds }),
    ...(pending === undefined ? {} : { askedAt: pending }),
  };
}

function pendingSince(askedAt: string | undefined, { asked, desired, ahead }: Seen, now: number): string | undefined {
  if (asked < desired) return undefined;
  return askedAt ?? (ahead && asked > desired ? new Date(now).toISOString() : undefined);
}
