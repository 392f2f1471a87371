/** One-time tickets with which a browser opens a WebSocket, so that no token stands in an address. */
import { randomBytes } from 'node:crypto';
import { keys } from '@flashsale/sale';
import type { RedisConnection } from './redis-connection.ts';

const TICKET_S = 30;

export interface Tickets {
  /** The ticket serves once, within 30 s. No buyer: an anonymous onlooker. */
  issue(subject: { buyer?: string }): Promise<string>;
  /** Undefined where the ticket is unknown, used or too old. */
  redeem(ticket: string): Promise<{ buyer?: string } | undefined>;
}

export function createTickets(redis: RedisConnection): Tickets {
  return {
    async issue(subject) {
      const ticket = randomBytes(24).toString('base64url');
      await redis.command('SET', keys.ticket(ticket), JSON.stringify(subject), 'EX', TICKET_S);
      return ticket;
    },
    async redeem(ticket) {
      const text = await redis.command<string | null>('GETDEL', keys.ticket(ticket));
      return text === null ? undefined : (JSON.parse(text) as { buyer?: string });
    },
  };
}
