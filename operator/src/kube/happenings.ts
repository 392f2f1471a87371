/** What the owner of a FlashSale is told in Events: its phases, and what was refused. */
import type { Happening } from '@flashsale/kube/events';
import type { Phase } from '@flashsale/sale';
import type { SaleStatus } from '../status.ts';

type Told = Pick<SaleStatus, 'phase' | 'message' | 'conditions'>;

/** Conditions whose turn to False is an event, and under which name. */
const REFUSALS = { Accepted: 'Refused', Reconciled: 'ProofBroken' } as const;
const WARN: readonly Phase[] = ['Aborted'];

/** What is to be told where the status was `before` and is `after`. */
export function happenings(before: Partial<Told> | undefined, after: Told): Happening[] {
  const moved = before?.phase !== after.phase;
  const refusals = Object.entries(REFUSALS).map(([type, reason]): Happening[] => {
    const note = failureOf(after.conditions, type);
    if (note === undefined || note === failureOf(before?.conditions ?? [], type)) return [];
    return [{ type: 'Warning', reason, action: 'Reconcile', note }];
  });
  return [...(moved ? [phaseOf(after)] : []), ...refusals.flat()];
}

function phaseOf({ phase, message }: Told): Happening {
  return { type: WARN.includes(phase) ? 'Warning' : 'Normal', reason: phase, action: 'ChangePhase', note: message };
}

/** The words of a condition that is False. */
function failureOf(conditions: Told['conditions'], type: string): string | undefined {
  return conditions.find((condition) => condition.type === type && condition.status === 'False')?.message;
}
