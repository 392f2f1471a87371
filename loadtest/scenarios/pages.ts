/** The pages that buyers look at before they buy: products, search, sales. */
import http, { type RefinedResponse } from 'k6/http';
import { bearer, expect } from './buyer.ts';
import { plan } from './plan.ts';

/** What `setup` found out for all buyers. */
export interface Shop {
  /** Ids of some products. */
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
  const id = products[choice % products.length] ?? '';
  expect(get(`/products?page=${1 + (choice % 3)}&size=20`, 'products').status === 200);
  expect(get(`/products/${id}`, 'product').status === 200);
  expect(get(`/search?q=${WORDS[choice % WORDS.length] ?? ''}`, 'search').status === 200);
}
const WORDS = ['shoe', 'air', 'zero'];

/** Asks once which products there are. */
export function openShop(): Shop {
  const answer = http.get(`${plan.baseUrl}/api/v1/products?page=1&size=20`, {
    tags: { name: 'setup' },
    responseType: 'text',
  });
  const found = answer.status === 200 ? (answer.json('products') as unknown as readonly { id: string }[]) : [];
  expect(found.length > 0);
  return { products: found.map(({ id }) => id) };
}
