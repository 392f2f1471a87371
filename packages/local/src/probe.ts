/** Asks servers whether they serve, by their own protocols and without client libraries. */
import { get } from 'node:https';
import { connect, type Socket } from 'node:net';

const PROBE_MS = 2000;

/** One exchange: sends `request`, gives the bytes received so far to `read` until it answers. */
export function exchange<T>(
  port: number,
  request: Buffer | string,
  read: (received: Buffer, socket: Socket) => T | undefined,
  ms: number = PROBE_MS,
): Promise<T> {
  return new Promise((done, fail) => {
    const socket = connect({ host: '127.0.0.1', port });
    let received = Buffer.alloc(0);
    const finish = (act: () => void): void => {
      clearTimeout(timer);
      socket.destroy();
      act();
    };
    const timer = setTimeout(() => finish(() => fail(new Error(`no answer on port ${port} within ${ms} ms`))), ms);
    socket.once('connect', () => socket.write(request));
    socket.once('error', (error) => finish(() => fail(error)));
    socket.once('close', () => finish(() => fail(new Error(`connection to port ${port} closed`))));
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      try {
        const answer = read(received, socket);
        if (answer !== undefined) finish(() => done(answer));
      } catch (error) {
        finish(() => fail(error instanceof Error ? error : new Error(String(error))));
      }
    });
  });
}

/** True once Redis answers PING; false while it loads its data. */
export function redisServes(port: number): Promise<boolean> {
  return exchange(port, 'PING\r\n', (received) => {
    const text = received.toString();
    return text.includes('\r\n') ? text.startsWith('+PONG') : undefined;
  });
}

/** True once the broker lists itself in its metadata: it then is registered and not fenced. */
export function kafkaServes(port: number): Promise<boolean> {
  // Metadata request v4: header (api key 3, version 4, correlation id 1, client id "probe"), no topics, no auto-creation.
  const client = Buffer.from('probe');
  const request = Buffer.alloc(4 + 2 + 2 + 4 + 2 + client.length + 4 + 1);
  request.writeInt32BE(request.length - 4, 0);
  request.writeInt16BE(3, 4);
  request.writeInt16BE(4, 6);
  request.writeInt32BE(1, 8);
  request.writeInt16BE(client.length, 12);
  client.copy(request, 14);
  // Response: size, correlation id, throttle time, then the number of brokers.
  return exchange(port, request, (received) => (received.length < 16 ? undefined : received.readInt32BE(12) > 0));
}

/** True once the API server calls itself ready. Its certificate is not known before: it is not checked here. */
export function kubeServes(port: number, token: string): Promise<boolean> {
  return new Promise((done, fail) => {
    const options = {
      headers: { authorization: `Bearer ${token}` },
      rejectUnauthorized: false,
      agent: false,
      timeout: PROBE_MS,
    };
    const request = get(`https://127.0.0.1:${port}/readyz`, options, (response) => {
      response.resume();
      done(response.statusCode === 200);
    });
    request.once('timeout', () => request.destroy(new Error(`no answer on port ${port} within ${PROBE_MS} ms`)));
    request.once('error', fail);
  });
}

/**
 * Runs SQL on PostgreSQL by the simple query protocol, user `flashsale` (trust authentication on loopback).
 * Returns the first column of the rows as text. Throws the server's message.
 */
export function postgresQuery(port: number, database: string, sql: string, ms = PROBE_MS): Promise<string[]> {
  const rows: string[] = [];
  let at = 0;
  let asked = false;
  return exchange(
    port,
    startupMessage({ user: 'flashsale', database }),
    (received, socket) => {
      for (let size = messageSize(received, at); size > 0; size = messageSize(received, at)) {
        const type = String.fromCharCode(received[at] ?? 0);
        const body = received.subarray(at + 5, at + size);
        at += size;
        if (type === 'E') throw new Error(`PostgreSQL: ${errorText(body)}`);
        if (type === 'D') rows.push(firstColumn(body));
        if (type === 'Z' && asked) return rows;
        if (type === 'Z') {
          asked = true;
          socket.write(message('Q', Buffer.from(`${sql}\0`)));
        }
      }
      return undefined;
    },
    ms,
  );
}

/** Length of the whole message at `at`, 0 where it is not complete yet. */
function messageSize(received: Buffer, at: number): number {
  if (received.length < at + 5) return 0;
  const size = received.readInt32BE(at + 1) + 1;
  return received.length < at + size ? 0 : size;
}

function startupMessage(parameters: Readonly<Record<string, string>>): Buffer {
  const text = Object.entries(parameters).map(([key, value]) => `${key}\0${value}\0`);
  const body = Buffer.from(`${text.join('')}\0`);
  const head = Buffer.alloc(8);
  head.writeInt32BE(body.length + 8, 0);
  head.writeInt32BE(196_608, 4); // protocol 3.0
  return Buffer.concat([head, body]);
}

function message(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(type, 0, 'latin1');
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

/** Fields of an ErrorResponse are a letter and a text each; M is the message. */
function errorText(body: Buffer): string {
  const field = body
    .toString()
    .split('\0')
    .find((part) => part.startsWith('M'));
  return field?.slice(1) ?? 'unknown error';
}

function firstColumn(body: Buffer): string {
  const length = body.readInt32BE(2);
  return length < 0 ? '' : body.toString('utf8', 6, 6 + length);
}
