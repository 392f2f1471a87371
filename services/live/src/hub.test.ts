/** What a connection hears last is the newest, whatever a look-up and a push do at the same time. */
import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import { purchaseId, type PurchaseStatus } from '@flashsale/sale';
import { Connection } from './connection.ts';
import { Hub } from './hub.ts';
import type { PresentPurchase } from './present.ts';

const id = purchaseId('drop', 0, 'a'.repeat(22));

const unexpected = (error?: unknown): never => {
  throw new Error('nothing fails here', { cause: error });
};

/** A hub whose look-ups answer when told to, and one connection with the statuses it heard. */
function connected() {
  const answers: ((status: PurchaseStatus) => void)[] = [];
  const presentState = async (): Promise<PresentPurchase> => {
    const { promise, resolve } = Promise.withResolvers<PurchaseStatus>();
    answers.push(resolve);
    return { buyer: 'ann', sku: 'shoe', quantity: 1, status: await promise };
  };
  const hub = new Hub({ presentState, onError: unexpected, onDropped: unexpected });
  const socket = { readyState: WebSocket.OPEN, on: () => undefined } as unknown as WebSocket;
  const connection = new Connection(socket, new PassThrough(), 'ann');
  hub.add(connection, 'server');
  const heard: unknown[] = [];
  connection.send = (message) => heard.push('status' in message ? message.status : message);
  const push = (status: PurchaseStatus): void => {
    hub.deliver([{ buyer: 'ann', purchase: { id, sale: 'drop', sku: 'shoe', quantity: 1, status } }]);
  };
  return { hub, connection, heard, answers, push };
}

test('a look-up that a push overtook is not sent after it', async () => {
  const { hub, connection, heard, answers, push } = connected();
  const watching = hub.watch(connection, id);
  push('paid');
  answers[0]?.('reserved');
  await watching;
  assert.deepEqual(heard, ['paid']);
  assert.ok(connection.watched.has(id));
  const again = hub.watch(connection, id);
  answers[1]?.('paid');
  await again;
  assert.deepEqual(heard, ['paid', 'paid']);
});

test('of two look-ups of a purchase only the later one is sent', async () => {
  const { hub, connection, heard, answers } = connected();
  const both = [hub.watch(connection, id), hub.watch(connection, id)];
  answers[1]?.('paid');
  await both[1];
  answers[0]?.('reserved');
  await both[0];
  assert.deepEqual(heard, ['paid']);
});
