/** What others hear of a sale: the services through the published sales, everyone through broadcasts. */
import type { BroadcastMessage, PublishedSale } from '@flashsale/sale';
import { forgetSale } from './metrics.ts';
import { scaleTargets } from './scale.ts';
import { textOf, type OperatorDeps, type PassDeps, type Scope } from './scope.ts';

/** Tells the services of the sale where something changed, and everyone of phase and stock. */
export async function tell(scope: Scope, deps: PassDeps, moved: boolean): Promise<void> {
  const { sale, status, memory, now, inspection, barred } = scope;
  // Its name belongs to the sale that sold under it.
  if (barred) return;
  const published: PublishedSale = { ...sale, epoch: status.epoch, phase: status.phase };
  await deps.registry.publish(published, () => makeKnown(scope, deps));
  if (moved) await broadcast(deps, { type: 'phase', sale: sale.name, phase: status.phase, at: now });
  if (!inspection) return;
  const items = [...inspection.items].map(([sku, { free, held, sold }]) => ({ sku, free, held, sold }));
  const stock = JSON.stringify(items);
  if (stock === memory.broadcast) return;
  await broadcast(deps, { type: 'stock', sale: sale.name, items });
  memory.broadcast = stock;
}

/** Before a sale is published, so that nobody is told that it does not exist. An incomplete filter is never written. */
async function makeKnown({ sale, trouble }: Scope, { known }: OperatorDeps): Promise<void> {
  const skus = sale.items.map((item) => item.sku);
  if (!known.add(sale.name, skus)) return;
  try {
    await known.keep();
  } catch (error) {
    trouble.push(`the existence filter cannot be written: ${textOf(error)}`);
  }
}

/** Broadcasts may be lost: whoever missed one finds out by asking. */
async function broadcast({ signals, note }: OperatorDeps, message: BroadcastMessage): Promise<void> {
  try {
    await signals.broadcast(message);
  } catch (error) {
    note({ err: error, type: message.type }, 'a broadcast was lost');
  }
}

/** Takes a sale that has ended away from everywhere, its resource last: a crash in between begins again. */
export async function remove(scope: Scope, deps: PassDeps): Promise<void> {
  const { resource, sale, status, memory, now, barred } = scope;
  const context = { sale, since: memory.scaleDownSince, now };
  const { trouble } = await scaleTargets(sale.scale, 'before', status.scale, deps, context);
  for (const text of trouble) deps.note({ sale: sale.name }, text);
  if (!barred) {
    await deps.registry.unpublish(sale.name);
    await deps.store.purge(sale);
  }
  await deps.resources.remove(resource);
  forgetSale(sale.name, status);
  deps.note({ sale: sale.name }, 'the sale was removed');
}
