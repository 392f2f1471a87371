/** Buyers as they mostly are: they look around, think, buy, and wait until they hear that they have paid. */
import { sleep } from 'k6';
import { buyerNumber } from './buyer.ts';
import { buyAndHear } from './hear.ts';
import { lookAtProducts, lookAtSales, openShop, type Shop } from './pages.ts';
import { optionsFor, tokenOf } from './plan.ts';

export { handleSummary, settle } from './buyer.ts';

export const options = optionsFor('browse', 20);

export function setup(): Shop {
  return openShop();
}

/** Two looks at products with a thought after each, then the sale. */
export async function browse({ products }: Shop): Promise<void> {
  const buyer = buyerNumber();
  const token = tokenOf(buyer);
  if (token === undefined) return;
  for (const look of [0, 1]) {
    lookAtProducts(products, buyer + look * 7);
    sleep(0.3 + ((buyer * 13 + look * 29) % 10) / 20);
  }
  lookAtSales(token);
  await buyAndHear(token);
}
