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
  const told: Happening[] = [];
  if (before?.phase !== after.phase) {
    const type = WARN.includes(after.phase) ? 'Warning' : 'Normal';
    told.push({ type, reason: after.phase, action: 'ChangePhase', note: after.message });
  }
  for (const [type, reason] of Object.entries(REFUSALS)) {
    const now = after.conditions.find((condition) => condition.type === type);
    const then = before?.conditions?.find((condition) => condition.type === type);
    if (now?.status !== 'False' || (then?.status === 'False' && then.message === now.message)) continue;
    told.push({ type: 'Warning', reason, action: 'Reconcile', note: now.message });
  }
  return told;
}
