/** Parts of kafkajs 2.2.4 (pinned exactly) that it does not export: reading without a group, and a flaw to mend. */
declare module 'kafkajs/src/cluster/index.js' {
  import type { ISocketFactory, KafkaMessage, Logger, RetryOptions } from 'kafkajs';

  interface FetchedPartition {
    readonly partition: number;
    readonly highWatermark: string;
    readonly messages: readonly (KafkaMessage & { readonly isControlRecord?: boolean })[];
  }
  interface Broker {
    /** Generation -1 and no member: for a group that has no members. */
    offsetCommit(request: {
      groupId: string;
      groupGenerationId: number;
      memberId: string;
      topics: { topic: string; partitions: { partition: number; offset: string }[] }[];
    }): Promise<unknown>;
    fetch(request: {
      maxWaitTime: number;
      minBytes: number;
      maxBytes: number;
      isolationLevel: number;
      topics: { topic: string; partitions: { partition: number; fetchOffset: string; maxBytes: number }[] }[];
    }): Promise<{ readonly responses: readonly { readonly partitions: readonly FetchedPartition[] }[] }>;
  }
  export default class Cluster {
    constructor(options: {
      logger: Logger;
      retry: RetryOptions;
      socketFactory: ISocketFactory;
      brokers: string[];
      clientId: string;
      connectionTimeout: number;
      requestTimeout: number;
      enforceRequestTimeout: boolean;
      metadataMaxAge: number;
      allowAutoTopicCreation: boolean;
      /** 1: only records of transactions that were committed. */
      isolationLevel: number;
    });
    connect(): Promise<void>;
    disconnect(): Promise<void>;
    addTargetTopic(topic: string): Promise<void>;
    refreshMetadata(): Promise<void>;
    findTopicPartitionMetadata(topic: string): { readonly partitionId: number; readonly leader: number }[];
    findGroupCoordinator(group: { groupId: string }): Promise<Broker>;
    findBroker(node: { nodeId: number }): Promise<Broker>;
    fetchTopicsOffset(
      topics: { topic: string; partitions: { partition: number }[]; fromBeginning: boolean }[],
    ): Promise<{ readonly topic: string; readonly partitions: { partition: number; offset: string }[] }[]>;
  }
}

declare module 'kafkajs/src/network/socketFactory.js' {
  import type { ISocketFactory } from 'kafkajs';
  export default function socketFactory(): ISocketFactory;
}

declare module 'kafkajs/src/network/requestQueue/index.js' {
  export default class RequestQueue {
    readonly pending: readonly unknown[];
    /** Unix ms; -1 where the broker never asked to slow down. */
    readonly throttledUntil: number;
    scheduleCheckPendingRequests(): void;
  }
}

declare module 'kafkajs/src/network/connection.js' {
  import type { Socket } from 'node:net';

  export default class Connection {
    /** Absent before the first connect. */
    readonly socket: Socket | null | undefined;
    send(request: unknown): Promise<unknown>;
  }
}
