/** Calls between services against a real server: answers, errors, deadlines, lines. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { after, before, test } from 'node:test';
import { DeadlineError } from './deadline.ts';
import { HttpError, internalClient } from './http-client.ts';
import { portOf } from './run-admin.ts';

/** Answers that a test lets wait on purpose. */
const waiting: ServerResponse[] = [];
const routes: Record<string, (res: ServerResponse, body: string) => void> = {
  'PUT /echo': (res, body) => res.end(body),
  'DELETE /nothing': (res) => res.writeHead(204).end(),
  'GET /conflict': (res) => res.writeHead(409).end('{"code":"sold_out"}'),
  'GET /silent': (res) => void waiting.push(res),
  'GET /lines': (res) => {
    res.write('{"n":1}\n{"n"');
    setImmediate(() => res.end(':2}\n\n{"n":3}'));
  },
  'GET /stalled': (res) => void (res.write('{"n":1}\n'), waiting.push(res)),
  'GET /endless-line': (res) => res.end('x'.repeat(1_100_000)),
};
const server = createServer((req, res) => {
  let body = '';
  req.on('data', (chunk: Buffer) => (body += chunk.toString()));
  req.on('end', () => routes[`${req.method} ${req.url}`]?.(res, body));
});

before(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
after(() => {
  server.closeAllConnections();
  server.close();
});

const client = (deadlineMs?: number): ReturnType<typeof internalClient> =>
  internalClient(`http://127.0.0.1:${portOf(server)}`, deadlineMs);

test('sends and reads JSON; 204 is undefined', async () => {
  assert.deepEqual(await client().json('PUT', '/echo', { a: 1 }), { a: 1 });
  assert.equal(await client().text('PUT', '/echo', ['x']), '["x"]');
  assert.equal(await client().json('DELETE', '/nothing'), undefined);
});

test('another answer than 2xx is an HttpError with status and body', async () => {
  await assert.rejects(
    client().json('GET', '/conflict'),
    (error) => error instanceof HttpError && error.status === 409 && error.body === '{"code":"sold_out"}',
  );
});

test('a late answer is a DeadlineError', async () => {
  await assert.rejects(client(50).json('GET', '/silent'), DeadlineError);
});

test('reads lines across chunks, the last without its newline', async () => {
  const seen: unknown[] = [];
  for await (const value of client().lines('/lines')) seen.push(value);
  assert.deepEqual(seen, [{ n: 1 }, { n: 2 }, { n: 3 }]);
});

test('a reader that is slow itself does not lose the answer; a server that stalls does', async () => {
  const seen: unknown[] = [];
  const read = async (): Promise<void> => {
    for await (const value of client(100).lines('/stalled')) {
      seen.push(value);
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
  };
  await assert.rejects(read(), DeadlineError);
  assert.deepEqual(seen, [{ n: 1 }]);
});

test('a line has a limit', async () => {
  await assert.rejects(async () => {
    for await (const value of client().lines('/endless-line')) assert.fail(String(value));
  }, /a line of more than/);
});

test('leaving early closes the connection', async () => {
  const before = waiting.length;
  for await (const value of client().lines('/stalled')) {
    assert.deepEqual(value, { n: 1 });
    break;
  }
  const left = waiting[before];
  if (left && !left.destroyed) await once(left, 'close');
});
