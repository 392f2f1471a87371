/** Reads a purchase request: path, idempotency key and body, each with the error that says what to send instead. */
import { hash } from 'node:crypto';
import { SaleError } from '@flashsale/sale';
import type { ListedItem, ListedSale } from './sale-directory.ts';

const PREFIX = '/api/v1/sales/';
const SUFFIX = '/purchases';
/** A purchase is two short fields. In bytes. */
export const MAX_BODY = 4_096;
const KEY = /^[\x21-\x7e]{1,128}$/;
const DIGEST_LENGTH = 22;

/** The sale that the target of `POST /api/v1/sales/{sale}/purchases` names; undefined for any other target. */
export function saleOf(target: string | undefined): string | undefined {
  if (!target?.startsWith(PREFIX)) return undefined;
  const query = target.indexOf('?', PREFIX.length);
  const end = query < 0 ? target.length : query;
  if (!target.endsWith(SUFFIX, end)) return undefined;
  const sale = target.slice(PREFIX.length, end - SUFFIX.length);
  return sale === '' || sale.includes('/') ? undefined : sale;
}

/** @throws SaleError `idempotency_key_missing`, or `invalid_request` where it is not 1 to 128 visible ASCII characters. */
export function idempotencyKey(header: string | readonly string[] | undefined): string {
  if (header === undefined || header === '') {
    throw new SaleError(
      'idempotency_key_missing',
      'Send an Idempotency-Key: a new one for each purchase you mean to make.',
    );
  }
  if (typeof header === 'string' && KEY.test(header)) return header;
  throw invalid('Idempotency-Key', 'must be 1 to 128 visible ASCII characters');
}

/** The digest that a purchase id ends with; see purchase-id.ts in packages/sale. */
export function purchaseDigest(buyer: string, key: string): string {
  return hash('sha256', `${buyer}\0${key}`, 'base64url').slice(0, DIGEST_LENGTH);
}

/** @throws SaleError `unsupported_media_type` or, from the declared length, `payload_too_large`. */
export function checkHeaders(type: string | undefined, length: string | undefined): void {
  if (type !== 'application/json' && !/^application\/json\s*(;|$)/i.test(type ?? '')) {
    throw new SaleError('unsupported_media_type', 'Send the body as application/json.');
  }
  if (length !== undefined && Number(length) > MAX_BODY) throw tooLarge();
}

export function tooLarge(): SaleError {
  return new SaleError('payload_too_large', `A purchase may have ${MAX_BODY} bytes at most.`);
}

/** What a body asks for. */
export interface Wish {
  readonly item: ListedItem;
  readonly quantity: number;
}

/** The body that was read last: a crowd sends the same one to the letter, and comparing costs less than parsing. */
let last: { readonly text: string; readonly listed: ListedSale; readonly wish: Wish } | undefined;

/** The item and quantity of a body. @throws SaleError `invalid_request` naming the field. */
export function parseBody(text: string, listed: ListedSale): Wish {
  if (last?.text === text && last.listed === listed) return last.wish;
  const wish = readWish(text, listed);
  last = { text, listed, wish };
  return wish;
}

function readWish(text: string, listed: ListedSale): Wish {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw invalid('body', 'must be JSON: {"sku": "…", "quantity": 1}');
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw invalid('body', 'must be an object');
  const { sku, quantity } = body as { readonly sku?: unknown; readonly quantity?: unknown };
  if (typeof sku !== 'string') throw invalid('sku', 'must be a string');
  const item = listed.items.get(sku);
  if (!item) throw invalid('sku', 'is not in this sale');
  return { item, quantity: checkedQuantity(quantity, item.item.perBuyer) };
}

function checkedQuantity(quantity: unknown, most: number): number {
  if (typeof quantity === 'number' && Number.isInteger(quantity) && quantity >= 1 && quantity <= most) return quantity;
  throw invalid('quantity', `must be a whole number from 1 to ${most}`);
}

function invalid(field: string, message: string): SaleError {
  return new SaleError('invalid_request', `${field} ${message}.`, { errors: [{ field, message }] });
}
