/** The gate in Redis: who may buy is decided by the scripts' clock, so it is set ahead and needs nobody at the opening. */
import type { Phase, Sale } from '@flashsale/sale';
import type { OperatorDeps, Scope } from './scope.ts';

/** What the gate depends on. Equal text: nothing to tell Redis. */
function gateText(sale: Sale, open: boolean, epoch: number): string {
  const items = sale.items.map((item) => `${item.sku}=${item.stock}`).join(',');
  return `${epoch} ${open ? 'open' : 'shut'} ${sale.opensAt}-${sale.closesAt} ${sale.holdForMs} ${items}`;
}

/** Tells Redis the window, the pause flag and raised stock as they are in `phase`. Idempotent. */
export async function setGate(scope: Scope, phase: Phase, { store }: OperatorDeps): Promise<void> {
  const { sale, status, memory } = scope;
  if (status.epoch === 0) return;
  if (phase === 'Draining' || phase === 'Closed' || phase === 'Aborted') return closeGate(scope, store);
  const open = (phase === 'Armed' || phase === 'Open') && !sale.paused && memory.repair === undefined;
  const gate = gateText(sale, open, status.epoch);
  if (status.gate === gate) return;
  await store.configure({ ...sale, paused: !open }, status.epoch);
  scope.status = { ...status, gate };
}

async function closeGate(scope: Scope, store: OperatorDeps['store']): Promise<void> {
  const { sale, status, inspection } = scope;
  if (status.gate === 'closed') return;
  // Stock that was raised in the last moment counts too: the proof is against the resource.
  const raised = sale.items.some((item) => (inspection?.items.get(item.sku)?.stock ?? item.stock) < item.stock);
  if (raised) await store.configure({ ...sale, paused: true }, status.epoch);
  await store.close(sale.name, sale.warm.shards, status.epoch);
  scope.status = { ...status, gate: 'closed' };
}
