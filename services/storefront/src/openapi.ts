/** The OpenAPI 3.1 document of what the edge answers. */
import { ERRORS, PHASES, PURCHASE_STATUSES, type ErrorCode } from '@flashsale/sale';

type Schema = Readonly<Record<string, unknown>>;

interface Answer {
  readonly description: string;
  readonly headers?: Schema;
  readonly content?: Readonly<Record<string, { readonly schema: Schema }>>;
}

interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly description: string;
  readonly required: boolean;
  readonly schema: Schema;
}

export interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: Schema;
  readonly security?: readonly Schema[];
  readonly responses: Readonly<Record<string, Answer>>;
}

const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });
const object = (properties: Schema, optional: readonly string[] = []): Schema => ({
  type: 'object',
  properties,
  required: Object.keys(properties).filter((name) => !optional.includes(name)),
});
const string: Schema = { type: 'string' };
const time: Schema = { type: 'string', format: 'date-time' };
const count: Schema = { type: 'integer', minimum: 0 };
const list = (items: Schema): Schema => ({ type: 'array', items });

const json = (description: string, schema: Schema): Answer => ({
  description,
  content: { 'application/json': { schema } },
});

/** Problem documents of the codes, those of one status together. */
function problems(...codes: readonly ErrorCode[]): Record<string, Answer> {
  const byStatus = Map.groupBy(codes, (code) => ERRORS[code].status);
  return Object.fromEntries(
    [...byStatus].map(([status, same]) => [
      String(status),
      {
        description: same.map((code) => `\`${code}\`: ${ERRORS[code].title}`).join('; '),
        content: { 'application/problem+json': { schema: ref('Problem') } },
      },
    ]),
  );
}

const body = (schema: Schema): Schema => ({ required: true, content: { 'application/json': { schema } } });
const path = (name: string, description: string): Parameter => ({
  name,
  in: 'path',
  description,
  required: true,
  schema: string,
});
const query = (name: string, description: string, schema: Schema): Parameter => ({
  name,
  in: 'query',
  description,
  required: false,
  schema,
});
/** An answer that browsers keep for a moment, and ask about by its ETag. */
const cached = (answer: Answer): Answer => ({
  ...answer,
  headers: {
    ETag: { description: 'Send it back in If-None-Match.', schema: string },
    'Cache-Control': { description: 'How long it may be shown.', schema: string },
  },
});
const notModified: Answer = { description: 'It is as `If-None-Match` says.' };
const signedIn = { security: [{ bearer: [] }] };
const page = [
  query('limit', 'Most entries of a page, 1 to 100; 20 where absent.', { type: 'integer', minimum: 1, maximum: 100 }),
  query('after', '`next` of the page before.', string),
];

const schemas: Record<string, Schema> = {
  Money: object({ amount: { type: 'string', examples: ['129.00'] }, currency: { type: 'string', examples: ['EUR'] } }),
  Item: object({
    sku: string,
    title: string,
    price: ref('Money'),
    stock: count,
    remaining: count,
    perBuyer: { type: 'integer', minimum: 1 },
  }),
  Sale: object({
    name: string,
    phase: { type: 'string', enum: PHASES },
    opensAt: time,
    closesAt: time,
    now: { ...time, description: 'The time by which the sale opens.' },
    items: list(ref('Item')),
  }),
  Product: object({
    id: { ...string, description: 'The sku.' },
    title: string,
    description: string,
    price: ref('Money'),
  }),
  Purchase: object(
    {
      id: string,
      sale: string,
      sku: string,
      quantity: { type: 'integer', minimum: 1 },
      status: { type: 'string', enum: PURCHASE_STATUSES },
      expiresAt: { ...time, description: 'A reservation that is not paid by then is released.' },
    },
    ['expiresAt'],
  ),
  LedgerPurchase: object(
    {
      id: string,
      sale: string,
      sku: string,
      quantity: { type: 'integer', minimum: 1 },
      status: { type: 'string', enum: PURCHASE_STATUSES },
      total: ref('Money'),
      reservedAt: time,
      resolvedAt: time,
      reason: string,
    },
    ['resolvedAt', 'reason'],
  ),
  Problem: object(
    {
      type: string,
      title: string,
      status: { type: 'integer' },
      detail: string,
      instance: string,
      code: { type: 'string', enum: Object.keys(ERRORS) },
      opensAt: time,
      held: count,
      errors: list(object({ field: string, message: string })),
      retryAfter: { type: 'integer', description: 'Seconds; also in Retry-After.' },
    },
    ['instance', 'opensAt', 'held', 'errors', 'retryAfter'],
  ),
};

const paths: Record<string, Record<string, Operation>> = {
  '/api/v1/sales': {
    get: {
      operationId: 'listSales',
      summary: 'All sales.',
      responses: { 200: json('The sales.', list(ref('Sale'))), ...problems('try_again_later') },
    },
  },
  '/api/v1/sales/{sale}': {
    get: {
      operationId: 'getSale',
      summary: 'One sale, and what remains of it.',
      parameters: [path('sale', 'Name of the sale.')],
      responses: { 200: json('The sale.', ref('Sale')), ...problems('sale_not_found', 'try_again_later') },
    },
  },
  '/api/v1/products': {
    get: {
      operationId: 'listProducts',
      summary:
        'Products in the order of their ids, page by page. May be older than a change by the time that a page is kept.',
      parameters: [
        query('page', 'The page, counted from 1; 1 where absent.', { type: 'integer', minimum: 1, maximum: 10_000 }),
        query('size', 'Products of a page; 20 where absent.', { type: 'integer', minimum: 1, maximum: 100 }),
      ],
      responses: {
        200: cached(
          json(
            'A page; empty past the end.',
            object({ products: list(ref('Product')), page: count, size: count, total: count }),
          ),
        ),
        304: notModified,
        ...problems('invalid_request', 'try_again_later'),
      },
    },
  },
  '/api/v1/products/{id}': {
    get: {
      operationId: 'getProduct',
      summary: 'One product.',
      parameters: [path('id', 'The sku.')],
      responses: {
        200: cached(json('The product.', ref('Product'))),
        304: notModified,
        ...problems('product_not_found', 'try_again_later'),
      },
    },
  },
  '/api/v1/search': {
    get: {
      operationId: 'searchProducts',
      summary: 'The 20 products that are nearest to some words, wrong letters forgiven.',
      parameters: [{ ...query('q', 'Words.', { type: 'string', minLength: 2, maxLength: 80 }), required: true }],
      responses: {
        200: cached(json('The products, the nearest first.', object({ products: list(ref('Product')) }))),
        304: notModified,
        ...problems('invalid_request', 'try_again_later'),
      },
    },
  },
  '/api/v1/sales/{sale}/purchases': {
    post: {
      operationId: 'purchase',
      summary: 'Reserves units. The same request with the same key is one purchase, however often it is sent.',
      ...signedIn,
      parameters: [
        path('sale', 'Name of the sale.'),
        {
          name: 'Idempotency-Key',
          in: 'header',
          description: 'Chosen by the client, new for each purchase.',
          required: true,
          schema: string,
        },
      ],
      requestBody: body(object({ sku: string, quantity: { type: 'integer', minimum: 1 } })),
      responses: {
        202: {
          ...json('Reserved; it is charged next.', ref('Purchase')),
          headers: { Location: { description: 'Where its status is.', schema: string } },
        },
        ...problems(
          'invalid_request',
          'idempotency_key_missing',
          'unauthenticated',
          'not_eligible',
          'sale_not_found',
          'sold_out',
          'limit_reached',
          'purchase_in_flight',
          'sale_closed',
          'idempotency_key_reused',
          'sale_not_open',
          'rate_limited',
          'try_again_later',
        ),
      },
    },
  },
  '/api/v1/purchases/{id}': {
    get: {
      operationId: 'getPurchase',
      summary: "One of the caller's purchases.",
      ...signedIn,
      parameters: [path('id', 'Id of the purchase.')],
      responses: {
        200: json('The purchase.', ref('Purchase')),
        ...problems('unauthenticated', 'purchase_not_found', 'try_again_later'),
      },
    },
  },
  '/api/v1/purchases': {
    get: {
      operationId: 'listPurchases',
      summary: "The caller's purchases, newest first.",
      ...signedIn,
      parameters: page,
      responses: {
        200: json('A page.', object({ purchases: list(ref('LedgerPurchase')), next: string }, ['next'])),
        ...problems('invalid_request', 'unauthenticated', 'try_again_later'),
      },
    },
  },
  '/api/v1/orders': {
    get: {
      operationId: 'listOrders',
      summary: "The caller's paid purchases, newest first.",
      ...signedIn,
      parameters: page,
      responses: {
        200: json('A page.', object({ orders: list(ref('LedgerPurchase')), next: string }, ['next'])),
        ...problems('invalid_request', 'unauthenticated', 'try_again_later'),
      },
    },
  },
  '/api/v1/auth/register': {
    post: {
      operationId: 'register',
      summary: 'Opens an account.',
      requestBody: body(
        object({
          email: { type: 'string', format: 'email', maxLength: 254 },
          password: { type: 'string', minLength: 8, maxLength: 128 },
        }),
      ),
      responses: {
        201: json('The account.', object({ id: string, email: string })),
        ...problems('invalid_request', 'email_taken', 'try_again_later'),
      },
    },
  },
  '/api/v1/live/tickets': {
    post: {
      operationId: 'liveTicket',
      summary: 'A one-time ticket for the WebSocket. Without a token it is anonymous: stock and phases only.',
      security: [{ bearer: [] }, {}],
      responses: {
        201: json('The ticket.', object({ ticket: string, expiresInSeconds: { type: 'integer' } })),
        ...problems('unauthenticated', 'try_again_later'),
      },
    },
  },
  '/api/v1/live': {
    get: {
      operationId: 'live',
      summary:
        'WebSocket. First `{type:"hello", serverId, seq}`, then `purchase`, `stock` and `phase` messages, each with the next `seq`. ' +
        'Send `{"type":"watch","purchase":"…"}` to get the present state of one of your purchases.',
      parameters: [{ ...query('ticket', 'From `POST /live/tickets`; serves once.', string), required: true }],
      responses: {
        101: { description: 'The connection is a WebSocket.' },
        401: { description: 'The ticket is unknown, used or too old.' },
        403: { description: 'The page is of another origin.' },
        503: { description: 'No room; see Retry-After.' },
      },
    },
  },
};

export const openapi = {
  openapi: '3.1.0',
  info: {
    title: 'Flashsale API',
    version: '1',
    license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    description: 'Errors are problem documents (RFC 9457) with a stable code.',
  },
  paths,
  components: {
    schemas,
    securitySchemes: {
      bearer: {
        type: 'http',
        scheme: 'bearer',
        bearerFormat: 'JWT',
        description: 'Access token; see /oidc/.well-known/openid-configuration.',
      },
    },
  },
} as const;
