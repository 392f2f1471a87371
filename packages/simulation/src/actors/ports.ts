/** What each simulated process is given: the product's ports, on simulated stores. */
import type { LedgerBook, LedgerView } from '@flashsale/orders/ports';
import type { Book } from '@flashsale/payments/ports';
import type { InternalClient } from '@flashsale/platform/http';
import type { Logger } from '@flashsale/platform/log';
import type { RedisConnection } from '@flashsale/platform/redis';
import type { Part } from '@flashsale/platform/run';
import type { Ledger, SaleStore, Signals, Workloads } from '@flashsale/sale';
import type { LeaseApi } from '@flashsale/kube/lease';
import type { SaleResources } from '@flashsale/operator/resources';
import type { Life } from '../life.ts';
import type { LogClient } from '../log/client.ts';

export interface ProcessPorts {
  readonly life: Life;
  readonly log: Logger;
  readonly redis: RedisConnection;
  readonly store: SaleStore;
  readonly signals: Signals;
  readonly kafka: LogClient;
  /** The ledger's own service, as its consumer has it. */
  readonly ordersLedger: () => LedgerBook & LedgerView;
  readonly book: () => Book;
  /** Orders over its internal HTTP. */
  readonly orders: Pick<InternalClient, 'json'>;
  readonly ledger: Ledger;
  readonly resources: () => SaleResources;
  readonly leases: () => LeaseApi;
  readonly workloads: Workloads;
  /** Ends this process at once, as `process.exit` would. */
  readonly exit: (why: string) => void;
  /** Starts parts one after the other; a part that cannot start ends the process, as `run` does. */
  readonly start: (parts: readonly Part[]) => Promise<void>;
}
