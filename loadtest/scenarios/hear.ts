/** A buyer who waits at the WebSocket: connects, buys as soon as he is greeted, and hears how it ended. */
import http from 'k6/http';
import { Rate, Trend } from 'k6/metrics';
import { WebSocket } from 'k6/experimental/websockets';
import { clearTimeout, setTimeout } from 'k6/timers';
import { HEAR_MS } from '../src/scenarios.ts';
import { bearer, buy, expect, follow } from './buyer.ts';
import { plan } from './plan.ts';

/** Of the purchases: whose ending came by WebSocket. */
const heard = new Rate('heard');
/** Milliseconds from the answer 202 to the push `paid`. */
const paidAfter = new Trend('paid_after', true);

const ENDINGS = ['paid', 'refused', 'expired', 'refunded'];

/** Resolves to the address of the purchase when its ending is known; to undefined where nothing was left to buy. */
export async function buyAndHear(token: string): Promise<string | undefined> {
  const { path, ending } = await listen(token, ticketOf(token));
  if (path === undefined) return undefined;
  heard.add(ending !== undefined);
  expect((ending ?? follow(token, path)) === 'paid');
  return path;
}

function ticketOf(token: string): string {
  const answer = http.post(`${plan.baseUrl}/api/v1/live/tickets`, '{}', {
    headers: { ...bearer(token), 'Content-Type': 'application/json' },
    tags: { name: 'ticket' },
    responseType: 'text',
  });
  expect(answer.status === 201);
  return answer.status === 201 ? (answer.json('ticket') as string) : '';
}

interface Heard {
  readonly path: string | undefined;
  readonly ending: string | undefined;
}

/** What of the messages is read here. */
interface Message {
  readonly type: string;
  readonly id?: string;
  readonly status?: string;
}

/** Buys at the greeting. A connection that breaks, or is refused, is no reason not to buy. */
function listen(token: string, ticket: string): Promise<Heard> {
  return new Promise((resolve) => {
    const socket = new WebSocket(`${plan.baseUrl.replace('http', 'ws')}/api/v1/live?ticket=${ticket}`);
    let path: string | undefined;
    let ending: string | undefined;
    let boughtAt = 0;
    const purchase = (): void => {
      path = buy(token);
      boughtAt = Date.now();
      if (path === undefined) socket.close();
    };
    const timer = setTimeout(() => socket.close(), HEAR_MS);
    socket.onmessage = (event) => {
      const message = JSON.parse(event?.data as string) as Message;
      if (message.type === 'hello' && boughtAt === 0) purchase();
      if (!isEnding(message, path)) return;
      ending = message.status;
      if (ending === 'paid') paidAfter.add(Date.now() - boughtAt);
      socket.close();
    };
    socket.onclose = () => {
      clearTimeout(timer);
      if (boughtAt === 0) purchase();
      resolve({ path, ending });
    };
  });
}

function isEnding({ type, id, status }: Message, path: string | undefined): boolean {
  if (type !== 'purchase' || id === undefined || status === undefined) return false;
  return path?.endsWith(`/${id}`) === true && ENDINGS.includes(status);
}
