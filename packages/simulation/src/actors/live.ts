/** Live as a simulated process: its production hub and presence, with connections whose frames are read back. */
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { Connection } from '@flashsale/live/connection';
import { Hub } from '@flashsale/live/hub';
import { presentState } from '@flashsale/live/present';
import { LocalPresence } from '@flashsale/live/presence';
import { updates } from '@flashsale/live/updates';
import { createPresence, createSignals } from '@flashsale/platform/redis';
import type { Buyer, PurchaseStatus } from '@flashsale/sale';
import type { ProcessPorts } from './ports.ts';

export interface Live {
  /** Connects a buyer; `hear` gets each push of a purchase. */
  connect(buyer: Buyer, hear: (id: string, status: PurchaseStatus) => void): void;
}

export function startLive(ports: ProcessPorts, open: (live: Live) => void): void {
  const { redis, store, log, life, orders } = ports;
  const onError = (error: unknown): void => log.warn({ err: error }, 'live');
  const serverId = `${life.name}-${life.number}`;
  const shared = createPresence(redis, serverId);
  const presence = new LocalPresence(shared, onError);
  const hub = new Hub({
    presentState: presentState((id) => store.hold(id), orders),
    onError,
    onDropped: () => undefined,
  });
  const parts = updates({ signals: createSignals(redis), shared, presence, hub, log, onError });
  void ports.start(parts).then(() => {
    open({
      connect: (buyer, hear) => {
        void presence.join(buyer.id).then(() => hub.add(connectionOf(buyer, hear), serverId), onError);
      },
    });
  });
}

function connectionOf(buyer: Buyer, hear: (id: string, status: PurchaseStatus) => void): Connection {
  const socket = { readyState: 1, on: () => undefined, terminate: () => undefined };
  const raw = { writableLength: 0, write: (frame: Buffer) => read(frame, hear) };
  return new Connection(socket as unknown as WebSocket, raw as unknown as Duplex, buyer.id);
}

/** An unmasked text frame (RFC 6455): two bytes, and two more where the second says that the length is in them. */
function read(frame: Buffer, hear: (id: string, status: PurchaseStatus) => void): boolean {
  const message = JSON.parse(frame.toString('utf8', frame[1] === 126 ? 4 : 2)) as Record<string, string>;
  if (message['type'] === 'purchase') hear(message['id'] as string, message['status'] as PurchaseStatus);
  return true;
}
