/** What the consumer of orders needs. */
import type { SaleEvent, SaleStore, Signals, TopicName } from '@flashsale/sale';
import type { Logger } from '@flashsale/platform/log';
import type { PrismaClient } from './generated/prisma/client.ts';

export interface OrderPorts {
  readonly db: PrismaClient;
  readonly store: Pick<SaleStore, 'settle'>;
  readonly signals: Pick<Signals, 'notifyBuyers'>;
  /** Writes events to the log; resolves when they are there for good. */
  readonly send: (topic: TopicName, events: readonly SaleEvent[]) => Promise<void>;
  readonly log: Logger;
}
