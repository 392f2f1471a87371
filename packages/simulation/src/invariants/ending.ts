/** What must be so when everything has come to its end: every purchase, charge and hold settled, and all of them agree. */
import { decodeHold, keys, parsePurchaseId, TOPICS, type Hold } from '@flashsale/sale';
import type { PurchaseRow } from '../database/orders-ledger.ts';
import type { ChargeRow } from '../database/payments-book.ts';
import { SALE } from '../plan.ts';
import type { World } from '../world.ts';
import { rowsOf } from './books.ts';

/** What is wrong, one text each. */
export function judgeEnd(world: World): string[] {
  const charges = new Map(rowsOf<ChargeRow>(world.payments, 'charges').map((row) => [row.id, row]));
  const purchases = new Map(rowsOf<PurchaseRow>(world.orders, 'purchases').map((row) => [row.id, row]));
  const isLossy = (id: string): boolean => {
    const shard = parsePurchaseId(id)?.shard ?? 0;
    return world.witnesses.lossyNodes.has(world.nodeOf(keys.holds(SALE, shard)));
  };
  return [
    ...[...charges.values()].flatMap((charge) => judgeCharge(charge, purchases.get(charge.id))),
    ...[...purchases.values()].flatMap((row) => judgePurchase(row, charges.get(row.id), isLossy)),
    ...judgeHolds(world, purchases),
    ...judgeLog(world, isLossy),
    ...judgeWords(world, purchases),
    ...deadLetters(world),
  ];
}

/** Every charge has a sale or was given back. */
function judgeCharge({ id, status }: ChargeRow, purchase: PurchaseRow | undefined): string[] {
  if (status === 'refused') return [];
  const due = status === 'charged' ? 'paid' : 'refunded';
  return purchase?.status === due ? [] : [`${id} is ${status}, the ledger says ${purchase?.status ?? 'nothing'}`];
}

function judgePurchase(row: PurchaseRow, charge: ChargeRow | undefined, isLossy: (id: string) => boolean): string[] {
  const { id, status, reason } = row;
  if (status === 'reserved') return [`${id} has no ending in the ledger`];
  if (reason === 'the reservation was lost' && !isLossy(id)) return [`${id} was lost where Redis had lost nothing`];
  return status === 'paid' ? judgeSale(row, charge) : [];
}

function judgeSale({ id, sku, quantity }: PurchaseRow, charge: ChargeRow | undefined): string[] {
  if (charge?.status !== 'charged') return [`${id} is sold, its charge is ${charge?.status ?? 'missing'}`];
  if (charge.sku === sku && charge.quantity === quantity) return [];
  return [`${id} was charged for ${charge.quantity} ${charge.sku}, ${quantity} ${sku} were sold`];
}

function holdsOf({ redis, plan }: World): Hold[] {
  const shards = Array.from({ length: plan.scenario.shards }, (_, shard) => shard);
  return shards.flatMap((shard) => {
    const fields = redis.data.read(keys.holds(SALE, shard), 'hash')?.fields ?? new Map<string, string>();
    return [...fields].flatMap(([id, text]) => (id === '' ? [] : [decodeHold(id, text).hold]));
  });
}

/** No hold is open, and Redis has the same purchases sold as the ledger. */
function judgeHolds(world: World, purchases: ReadonlyMap<string, PurchaseRow>): string[] {
  const holds = new Map(holdsOf(world).map((hold) => [hold.id, hold]));
  const open = [...holds.values()]
    .filter(({ status }) => status === 'reserved')
    .map(({ id }) => `${id} is held for ever`);
  const sold = [...purchases.values()].filter(({ status }) => status === 'paid');
  const unknown = sold
    .filter(({ id }) => holds.get(id)?.status !== 'paid')
    .map(({ id }) => `${id} is not sold in Redis`);
  const unsold = [...holds.values()].filter(
    ({ id, status }) => status === 'paid' && purchases.get(id)?.status !== 'paid',
  );
  return [...open, ...unknown, ...unsold.map(({ id }) => `${id} is sold in Redis alone`)];
}

/** What Redis has reserved is in the log, unless Redis has lost it before the relay found it. */
function judgeLog(world: World, isLossy: (id: string) => boolean): string[] {
  const logged = new Set(
    world.broker
      .partitions(TOPICS.purchases)
      .flat()
      .map(({ key }) => String(key)),
  );
  return holdsOf(world).flatMap(({ id }) =>
    logged.has(id) || isLossy(id) ? [] : [`${id} was never written to the log`],
  );
}

/** Who was told that he has paid has his goods or his money back, and no purchase that was answered is unknown. */
function judgeWords({ witnesses }: World, purchases: ReadonlyMap<string, PurchaseRow>): string[] {
  return [...witnesses.known].flatMap(([id, { status }]) => {
    const now = purchases.get(id)?.status;
    if (status === 'paid' && now !== 'paid' && now !== 'refunded') return [`${id} was told paid, and is ${now}`];
    return [];
  });
}

/** Nothing that the simulation does needs a human being. */
function deadLetters({ broker }: World): string[] {
  return [...broker.topics()]
    .filter((topic) => topic.endsWith('.dlq'))
    .flatMap((topic) =>
      broker
        .partitions(topic)
        .flat()
        .map(({ headers }) => `${topic}: ${headers['error']}`),
    );
}
