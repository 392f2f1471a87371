/** Settles in Redis what the ledger has sold: after Redis was rebuilt, and where it fell behind. */
import {
  parsePurchaseId,
  type Ledger,
  type Sale,
  type SaleStore,
  type SettleRequest,
  type ShardItem,
} from '@flashsale/sale';

const SETTLE_BATCH = 200;

interface SettleDeps {
  readonly ledger: Pick<Ledger, 'entries'>;
  readonly store: Pick<SaleStore, 'settle'>;
}

/** Marks in Redis as paid what the ledger has sold. False where Redis does not know one of them, or has ended it. */
export async function settleFromLedger(sale: Sale, { ledger, store }: SettleDeps): Promise<boolean> {
  const batches = new Map<string, { at: ShardItem; requests: SettleRequest[] }>();
  let known = true;
  for await (const entry of ledger.entries(sale.name)) {
    const shard = parsePurchaseId(entry.id)?.shard;
    if (entry.status !== 'paid' || shard === undefined) continue;
    const key = `${shard} ${entry.sku}`;
    const batch = batches.get(key) ?? { at: { sale: sale.name, shard, sku: entry.sku }, requests: [] };
    batches.set(key, batch);
    batch.requests.push({ id: entry.id, epoch: 0 });
    if (batch.requests.length >= SETTLE_BATCH) known = (await settle(store, batch)) && known;
  }
  for (const batch of batches.values()) known = (await settle(store, batch)) && known;
  return known;
}

async function settle(
  store: SettleDeps['store'],
  batch: { readonly at: ShardItem; readonly requests: SettleRequest[] },
): Promise<boolean> {
  const requests = batch.requests.splice(0);
  if (requests.length === 0) return true;
  const answers = await store.settle(batch.at, requests);
  return answers.every(({ code }) => code === 'done' || code === 'already');
}
