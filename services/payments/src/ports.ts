/** What the two consumers of payments need. */
import type { SaleEvent, SaleStore, Signals, TopicName } from '@flashsale/sale';
import type { Logger } from '@flashsale/platform/log';
import type { PrismaClient } from './generated/prisma/client.ts';

export interface PaymentPorts {
  readonly db: PrismaClient;
  readonly store: Pick<SaleStore, 'time' | 'release'>;
  readonly signals: Pick<Signals, 'notifyBuyers'>;
  /** Writes events to the log; resolves when they are there for good. */
  readonly send: (topic: TopicName, events: readonly SaleEvent[]) => Promise<void>;
  readonly log: Logger;
  /** Credit of an account at its first charge, in minor units. */
  readonly openingCreditMinor: number;
}
