/** Payments and orders as simulated processes: their production consumers, wired as in their own main.ts. */
import { createRecord } from '@flashsale/orders/record';
import { createCharge } from '@flashsale/payments/charge';
import type { PaymentPorts } from '@flashsale/payments/ports';
import { createRefund } from '@flashsale/payments/refund';
import { putOffUnpublished, TOPICS } from '@flashsale/sale';
import type { ProcessPorts } from './ports.ts';

/** What a buyer can spend, in minor units: a few purchases. */
export const OPENING_CREDIT = 1_000;

export function startPayments({ store, signals, kafka, book, log }: ProcessPorts): void {
  const producer = kafka.producer();
  const ports: PaymentPorts = {
    book: book(),
    store,
    signals,
    send: (topic, events) => producer.send(topic, events),
    log,
    openingCreditMinor: OPENING_CREDIT,
  };
  kafka.consume({
    group: 'payments',
    topics: [TOPICS.purchases],
    handle: putOffUnpublished(store, createCharge(ports)),
  });
  kafka.consume({
    group: 'payments-refunds',
    topics: [TOPICS.refunds],
    handle: putOffUnpublished(store, createRefund(ports)),
  });
}

export function startOrders({ store, signals, kafka, ordersLedger, log }: ProcessPorts): void {
  const producer = kafka.producer();
  const record = createRecord({
    ledger: ordersLedger(),
    store,
    signals,
    send: (topic, events) => producer.send(topic, events),
    log,
  });
  const handle = putOffUnpublished(store, record);
  kafka.consume({ group: 'orders', topics: [TOPICS.purchases, TOPICS.payments], handle });
}
