/**
 * One server of the benchmark, as a process of its own: `bare`, `stockExpress` or `checkout`.
 * The parent asks over IPC; each answer says how much CPU the process has used so far.
 */
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createCheckout } from '@flashsale/checkout/app';
import { createLogger } from '@flashsale/platform/log';
import { createTokenVerifier, type TokenVerifier } from '@flashsale/platform/oidc';
import { connectRedis, createSaleStore, createSignals } from '@flashsale/platform/redis';
import express from 'express';

export type Variant = 'bare' | 'stockExpress' | 'checkout';

/** `cpu`: nothing more. `refresh`: read the sales. `forget`: verified tokens. `verify`: these tokens, so that they are known. */
export type Request =
  { readonly do: 'cpu' | 'refresh' | 'forget' } | { readonly do: 'verify'; readonly tokens: readonly string[] };

export interface Answer {
  readonly port: number;
  /** µs of user and system time. */
  readonly cpu: number;
}

interface Target {
  readonly port: number;
  handle(request: Request): Promise<void>;
}

/** As long as what checkout answers to an accepted purchase. */
const ANSWER = JSON.stringify({
  id: 'bench-0123456789ab.0.0123456789012345678901',
  sale: 'bench-0123456789ab',
  sku: 'air-zero-42',
  quantity: 1,
  status: 'reserved',
  expiresAt: '2026-12-01T10:00:00.000Z',
});

const target = await start(process.argv[2] as Variant);
process.on('message', (request: Request) => void answer(request));
process.on('disconnect', () => process.exit(0));
send();

async function answer(request: Request): Promise<void> {
  await target.handle(request);
  send();
}

function send(): void {
  const { user, system } = process.cpuUsage();
  process.send?.({ port: target.port, cpu: user + system } satisfies Answer);
}

async function start(variant: Variant): Promise<Target> {
  if (variant === 'checkout') return startCheckout();
  const app: RequestListener = variant === 'bare' ? bare : (stockExpress() as RequestListener);
  return { port: await listen(createServer(app)), handle: () => Promise.resolve() };
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** The least an answer to this request can cost: the body is read, the answer is a constant. */
function bare(req: IncomingMessage, res: ServerResponse): void {
  req.resume();
  req.once('end', () => {
    res.writeHead(202, { 'Content-Type': 'application/json', 'Content-Length': ANSWER.length });
    res.end(ANSWER);
  });
}

/** Express as its manual shows it, with the same constant answer. */
function stockExpress(): express.Express {
  const app = express();
  app.use(express.json());
  app.post('/api/v1/sales/:sale/purchases', (_req, res) => {
    res.status(202).json(JSON.parse(ANSWER) as object);
  });
  return app;
}

async function startCheckout(): Promise<Target> {
  const log = createLogger('checkout-bench', process.env['LOG_LEVEL'] ?? 'error');
  const { REDIS_URL = '', OIDC_ISSUER = '', OIDC_AUDIENCE = '' } = process.env;
  const redis = connectRedis(REDIS_URL, log);
  const make = (): TokenVerifier => createTokenVerifier({ issuer: OIDC_ISSUER, audience: OIDC_AUDIENCE });
  let current = make();
  const checkout = createCheckout({
    store: createSaleStore(redis),
    signals: createSignals(redis),
    // The relay runs as it does in service, up to the network: what Kafka's client costs is measured with Kafka.
    sink: { send: () => Promise.resolve() },
    verifier: { verify: (token) => current.verify(token), warm: () => current.warm() },
    orders: { json: () => Promise.reject(new Error('not in the benchmark')) },
    log,
    port: 0,
    consumer: `bench-${process.pid}`,
  });
  for (const part of [redis, ...checkout.parts]) await part.start?.();
  await current.warm();
  const handle = async (request: Request): Promise<void> => {
    if (request.do === 'refresh') await checkout.directory.refresh();
    if (request.do === 'forget') {
      current = make();
      await current.warm();
    }
    if (request.do === 'verify') for (const token of request.tokens) await current.verify(token);
  };
  return { port: checkout.http.port, handle };
}
