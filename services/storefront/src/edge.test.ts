/** The edge in front of real servers on loopback. */
import assert from 'node:assert/strict';
import { createServer, request, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { once } from 'node:events';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { createLogger } from '@flashsale/platform/log';
import type { Part } from '@flashsale/platform/run';
import { readConfig } from './config.ts';
import { storefrontService } from './service.ts';

const log = createLogger('edge-test', 'silent');
let upstream: Server;
let upstreamUrl = '';
let handler: RequestListener = () => undefined;
let seen: { req: IncomingMessage; body: string }[] = [];
let parts: readonly Part[] = [];
let base = '';

/** Answers with what it got. */
const echo: RequestListener = (req, res) => {
  res.setHeader('X-Correlation-Id', req.headers['x-correlation-id'] as string);
  res.setHeader('Content-Type', 'application/json');
  res.end(JSON.stringify({ method: req.method, url: req.url }));
};

before(async () => {
  upstream = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      seen.push({ req, body: Buffer.concat(chunks).toString() });
      handler(req, res);
    });
  }).listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  upstreamUrl = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`;
  // A port that was free a moment ago: nobody is there.
  const gone = createServer().listen(0, '127.0.0.1');
  await once(gone, 'listening');
  const deadUrl = `http://127.0.0.1:${(gone.address() as AddressInfo).port}`;
  gone.close();
  await once(gone, 'close');
  const config = readConfig({
    PORT: '0',
    CHECKOUT_URL: upstreamUrl,
    IDENTITY_URL: upstreamUrl,
    LIVE_URL: upstreamUrl,
    ORDERS_URL: deadUrl,
    CATALOG_URL: upstreamUrl,
    UPSTREAM_DEADLINE_MS: '300',
    MAX_TUNNELS: '2',
  });
  const service = storefrontService(config, log);
  ({ parts } = service);
  for (const part of parts) await part.start?.();
  base = `http://127.0.0.1:${service.http.port}`;
});
beforeEach(() => {
  handler = echo;
  seen = [];
});
afterEach(() => upstream.removeAllListeners('upgrade'));
after(async () => {
  for (const part of parts.toReversed()) await part.drain?.();
  for (const part of parts.toReversed()) await part.stop?.();
  upstream.closeAllConnections();
  upstream.close();
});

const lastSeen = (): { req: IncomingMessage; body: string } => {
  const last = seen.at(-1);
  assert.ok(last, 'nothing came to the service');
  return last;
};

async function assertLater(response: Response): Promise<void> {
  assert.equal(response.status, 503);
  assert.match(response.headers.get('content-type') ?? '', /^application\/problem\+json/);
  assert.ok(Number(response.headers.get('retry-after')) >= 1);
  assert.ok(response.headers.get('x-correlation-id'));
  assert.equal(((await response.json()) as { code: string }).code, 'try_again_later');
}

test('a request arrives whole and its answer comes back whole', async () => {
  handler = (_req, res) => {
    res.writeHead(202, { Location: '/api/v1/purchases/x', 'Set-Cookie': ['a=1', 'b=2'], 'Content-Type': 'text/plain' });
    res.end('kept');
  };
  const response = await fetch(`${base}/api/v1/sales/s/purchases?x=1`, {
    method: 'POST',
    headers: { Authorization: 'Bearer t', 'Idempotency-Key': 'k', 'Content-Type': 'application/json' },
    body: '{"sku":"ä"}',
  });
  assert.equal(response.status, 202);
  assert.equal(await response.text(), 'kept');
  assert.equal(response.headers.get('location'), '/api/v1/purchases/x');
  assert.deepEqual(response.headers.getSetCookie(), ['a=1', 'b=2']);
  const { req, body } = lastSeen();
  assert.deepEqual([req.method, req.url, body], ['POST', '/api/v1/sales/s/purchases?x=1', '{"sku":"ä"}']);
  assert.deepEqual([req.headers.authorization, req.headers['idempotency-key']], ['Bearer t', 'k']);
});

test('who somebody is cannot be forged by a header', async () => {
  await fetch(`${base}/api/v1/sales`, {
    headers: {
      'X-User-Id': 'admin',
      'X-Buyer-Id': 'b',
      'X-BUYER-NUMBER': '1',
      'X-Forwarded-For': '6.6.6.6',
      'X-Forwarded-Host': 'evil.example',
      'X-Forwarded-Client-Cert': 'c',
      Forwarded: 'for=6.6.6.6',
      'X-Kept': 'yes',
    },
  });
  const { headers } = lastSeen().req;
  const names = Object.keys(headers).filter((name) => /^(x-(user|buyer|forwarded)-|forwarded)/.test(name));
  assert.deepEqual(names.sort(), ['x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto']);
  assert.equal(headers['x-forwarded-for'], '127.0.0.1');
  assert.equal(headers['x-forwarded-host'], new URL(base).host);
  assert.equal(headers['x-forwarded-proto'], 'http');
  assert.equal(headers['x-kept'], 'yes');
});

test('headers of one connection end at the edge, also those that Connection names', async () => {
  handler = (_req, res) => {
    res.writeHead(200, { Connection: 'close, X-Mine', 'X-Mine': '1', 'X-Yours': '2' });
    res.end();
  };
  const { port } = new URL(base);
  const headers = { Connection: 'keep-alive, X-Secret', 'X-Secret': 's', TE: 'trailers', 'Proxy-Authorization': 'x' };
  const req = request({ port, path: '/api/v1/sales', headers }).end();
  const [response] = (await once(req, 'response')) as [IncomingMessage];
  response.resume();
  const got = lastSeen().req.headers;
  for (const name of ['x-secret', 'te', 'proxy-authorization']) assert.equal(got[name], undefined, name);
  assert.equal(response.headers['x-mine'], undefined);
  assert.equal(response.headers['x-yours'], '2');
});

test('a correlation id is kept where it is sane, and made where it is not', async () => {
  const ask = async (id: string): Promise<string> => {
    await fetch(`${base}/api/v1/sales`, { headers: { 'X-Correlation-Id': id } });
    return lastSeen().req.headers['x-correlation-id'] as string;
  };
  assert.equal(await ask('abc-1'), 'abc-1');
  assert.match(await ask('not sane {}'), /^[\w-]{16}\.[0-9a-z]{1,7}$/);
});

test('what is not in the table is answered here', async () => {
  for (const path of ['/internal/test-tokens', '/api/v1/nothing', '/metrics', '/api/v1/live']) {
    const response = await fetch(base + path);
    assert.equal(response.status, 404, path);
    assert.equal(((await response.json()) as { code: string }).code, 'not_found');
  }
  assert.equal(seen.length, 0);
});

test('dot segments do not lead anywhere else', async () => {
  const req = request({ port: new URL(base).port, path: '/oidc/../internal/test-tokens', method: 'POST' }).end();
  const [response] = (await once(req, 'response')) as [IncomingMessage];
  response.resume();
  assert.equal(response.statusCode, 404);
  assert.equal(seen.length, 0);
});

test('a service that is down, slow, or breaks off: try again later', async () => {
  await assertLater(await fetch(`${base}/api/v1/orders`));
  handler = () => undefined;
  await assertLater(await fetch(`${base}/api/v1/sales`));
  handler = (req) => req.socket.destroy();
  await assertLater(await fetch(`${base}/api/v1/sales`));
  handler = echo;
  assert.equal((await fetch(`${base}/api/v1/sales`)).status, 200);
});

test('half an answer is not passed off as a whole one', async () => {
  handler = (_req, res) => {
    res.write('half');
    setImmediate(() => res.destroy());
  };
  await assert.rejects(async () => (await fetch(`${base}/api/v1/sales`)).text());
});

test('a large body is refused before a service sees it, a large answer passes', async () => {
  const post = (bytes: number): Promise<Response> =>
    fetch(`${base}/api/v1/sales/s/purchases`, { method: 'POST', body: 'x'.repeat(bytes) });
  assert.equal((await post(65_537)).status, 413);
  assert.equal(seen.length, 0);
  assert.equal((await post(65_536)).status, 200);
  const answer = Buffer.alloc(3_000_000, 'y');
  handler = (_req, res) => res.end(answer);
  const got = Buffer.from(await (await fetch(`${base}/oidc/big`)).arrayBuffer());
  assert.equal(got.compare(answer), 0);
});

test('a client that leaves lets go of the service too', async () => {
  const closed = new Promise<void>((resolve) => {
    handler = (req, res) => {
      req.socket.once('close', resolve);
      res.write('begun');
      leave.abort();
    };
  });
  const leave = new AbortController();
  const response = fetch(`${base}/api/v1/sales`, { signal: leave.signal }).then((r) => r.text());
  await assert.rejects(response, { name: 'AbortError' });
  await closed;
});

test('connections to a service are kept and used again', async () => {
  const sockets = new Set<Socket>();
  handler = (req, res) => {
    sockets.add(req.socket);
    echo(req, res);
  };
  for (let i = 0; i < 10; i++) await (await fetch(`${base}/api/v1/sales`)).text();
  assert.equal(sockets.size, 1);
});

/** A client that asks for an upgrade by hand. */
class Upgrade {
  readonly socket = connect(Number(new URL(base).port), '127.0.0.1');
  text = '';
  constructor(path: string) {
    this.socket.on('data', (chunk: Buffer) => (this.text += String(chunk)));
    const lines = ['Host: shop.test', 'Connection: Upgrade', 'Upgrade: websocket', 'X-User-Id: admin'];
    this.socket.write(`GET ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
  }
  /** Everything heard so far, once it contains `end`. */
  async until(end: string): Promise<string> {
    while (!this.text.includes(end)) await once(this.socket, 'data');
    return this.text;
  }
}
const answerTo = (path: string): Promise<string> => new Upgrade(path).until('\r\n\r\n');

test('an upgrade of the live path joins both ends; the end of one is the end of the other', async () => {
  let far: Socket | undefined;
  let headers: IncomingMessage['headers'] = {};
  upstream.on('upgrade', (req, socket: Socket) => {
    far = socket;
    ({ headers } = req);
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello');
    socket.on('data', (chunk: Buffer) => socket.write(`echo ${String(chunk)}`));
    socket.on('end', () => socket.end());
  });
  const first = new Upgrade('/api/v1/live?ticket=t');
  assert.match(await first.until('hello'), /^HTTP\/1\.1 101 /);
  assert.deepEqual(
    [headers['x-forwarded-host'], headers['x-user-id'], headers.upgrade],
    ['shop.test', undefined, 'websocket'],
  );
  first.socket.write('ping');
  await first.until('echo ping');
  const closed = once(far as Socket, 'close');
  first.socket.destroy();
  await closed;
  const second = new Upgrade('/api/v1/live?ticket=t');
  await second.until('hello');
  const ended = once(second.socket, 'close');
  (far as Socket).destroy();
  await ended;
});

test('an upgrade that the service refuses, of another path, or one too many, is refused', async () => {
  upstream.once('upgrade', (_req, socket: Socket) =>
    socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n'),
  );
  assert.match(await answerTo('/api/v1/live?ticket=t'), /^HTTP\/1\.1 401 /);
  assert.match(await answerTo('/internal'), /^HTTP\/1\.1 404 /);
  upstream.once('upgrade', (_req, socket: Socket) => socket.destroy());
  assert.match(await answerTo('/api/v1/live?ticket=t'), /^HTTP\/1\.1 503 [^]*Retry-After: \d/);
  upstream.on('upgrade', (_req, socket: Socket) =>
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello'),
  );
  const open = [new Upgrade('/api/v1/live'), new Upgrade('/api/v1/live')];
  for (const client of open) await client.until('hello');
  assert.match(await answerTo('/api/v1/live'), /^HTTP\/1\.1 503 /);
  for (const { socket } of open) socket.destroy();
});

test('a request that merely offers another protocol is answered as it is', async () => {
  const headers = { Connection: 'Upgrade, HTTP2-Settings', Upgrade: 'h2c', 'HTTP2-Settings': 'AAMAAABk' };
  const req = request({ port: new URL(base).port, path: '/api/v1/sales', headers }).end();
  const [response] = (await once(req, 'response')) as [IncomingMessage];
  response.resume();
  assert.equal(response.statusCode, 200);
  const got = lastSeen().req.headers;
  for (const name of ['upgrade', 'http2-settings']) assert.equal(got[name], undefined, name);
});

test('pages and their files come with a strict policy and without anything inline', async () => {
  for (const path of ['/', '/sales/sneaker-drop', '/api/v1/docs']) {
    const response = await fetch(base + path);
    assert.equal(response.status, 200, path);
    assert.match(response.headers.get('content-security-policy') ?? '', /default-src 'none'/);
    const html = await response.text();
    assert.match(html, /<html lang="en">[^]*<title>[^]*<main>/);
    assert.ok(!/<script(?![^>]*src=)|<style| style=| on\w+=|https?:\/\/(?!127)/.test(html), path);
    for (const [, file] of html.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)) {
      assert.equal((await fetch(base + (file as string))).status, 200, file);
    }
  }
  const first = await fetch(`${base}/assets/sale.js`);
  assert.match(first.headers.get('content-type') ?? '', /javascript/);
  const tag = first.headers.get('etag') as string;
  assert.equal((await fetch(`${base}/assets/sale.js`, { headers: { 'If-None-Match': tag } })).status, 304);
  assert.equal((await fetch(`${base}/assets/..%2fpackage.json`)).status, 404);
});

test('the document names every path of the table, and its references resolve', async () => {
  const document = (await (await fetch(`${base}/api/v1/openapi.json`)).json()) as {
    openapi: string;
    paths: Record<string, unknown>;
    components: { schemas: Record<string, unknown> };
  };
  assert.equal(document.openapi, '3.1.0');
  for (const path of ['/api/v1/sales', '/api/v1/purchases/{id}', '/api/v1/orders', '/api/v1/live'])
    assert.ok(document.paths[path], path);
  const references = [...JSON.stringify(document).matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(
    ([, name]) => name as string,
  );
  assert.ok(references.length > 10);
  for (const name of references) assert.ok(document.components.schemas[name], name);
});
