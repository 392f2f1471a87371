/** The pages that buyers look at before they buy: products, search, sales. */
import http, { type RefinedResponse } from 'k6/http';
import { bearer, expect } from './buyer.ts';
import { plan } from './plan.ts';

/** What `setup` found out for all buyers. */
export interface Shop {
  /** Ids of some products; empty where this platform has no catalog. */
  readonly products: readonly string[];
}

function get(path: string, name: string, token?: string): RefinedResponse<'text'> {
  return http.get(`${plan.baseUrl}/api/v1${path}`, {
    headers: token === undefined ? {} : bearer(token),
    tags: { name, kind: 'page' },
    timeout: '10s',
    responseType: 'text',
  });
}

/** The list of sales and the page of this one. */
export function lookAtSales(token: string): void {
  expect(get('/sales', 'sales').status === 200);
  const sale = get(`/sales/${plan.sale}`, 'sale', token);
  expect(sale.status === 200 && sale.json('name') === plan.sale);
}

/** A page of products, one of them, and a search. */
export function lookAtProducts(products: readonly string[], choice: number): void {
  const id = products[choice % products.length];
  if (id === undefined) return;
  expect(get(`/products?page=${1 + (choice % 2)}&size=20`, 'products').status === 200);
  expect(get(`/products/${id}`, 'product').status === 200);
  expect(get(`/search?q=${WORDS[choice % WORDS.length] ?? ''}`, 'search').status === 200);
}
const WORDS = ['shoe', 'air', 'zero'];

/** Asks once whether there are products. A platform without a catalog has the pages of its sales alone. */
export function openShop(): Shop {
  const answer = http.get(`${plan.baseUrl}/api/v1/products?page=1&size=20`, {
    tags: { name: 'setup' },
    responseType: 'text',
    responseCallback: http.expectedStatuses(200, 404),
  });
  const found = answer.status === 200 ? (answer.json('products') as unknown as readonly { id: string }[]) : [];
  if (found.length === 0) console.warn('this platform has no products: buyers look at the pages of its sales alone');
  return { products: found.map(({ id }) => id) };
}
