/** A few buyers go the whole way, and every step of it must be as the contract says. */
import http from 'k6/http';
import { bearer, buyerNumber, expect } from './buyer.ts';
import { buyAndHear } from './hear.ts';
import { lookAtProducts, lookAtSales, openShop, type Shop } from './pages.ts';
import { optionsFor, plan, tokenOf } from './plan.ts';

export { handleSummary, settle } from './buyer.ts';

export const options = optionsFor('wholeWay', 15);

export function setup(): Shop {
  return openShop();
}

export async function wholeWay({ products }: Shop): Promise<void> {
  const buyer = buyerNumber();
  const token = tokenOf(buyer);
  if (token === undefined) return;
  lookAtSales(token);
  lookAtProducts(products, buyer);
  const path = await buyAndHear(token);
  expect(path === undefined ? !hasOrder(token) : hasOrder(token));
}

/** Whether the buyer's orders, which the ledger answers, hold one of this sale. */
function hasOrder(token: string): boolean {
  const answer = http.get(`${plan.baseUrl}/api/v1/orders`, {
    headers: bearer(token),
    tags: { name: 'orders' },
    responseType: 'text',
  });
  if (answer.status !== 200) return false;
  const orders = answer.json('orders') as unknown as readonly { sale: string; status: string }[];
  return orders.some(({ sale, status }) => sale === plan.sale && status === 'paid');
}
