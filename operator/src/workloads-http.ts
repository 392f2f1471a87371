/** Workloads of one machine, scaled through the supervisor's HTTP API. */
import { HttpError, internalClient } from '@flashsale/platform/http-client';
import type { Workloads } from '@flashsale/sale';

/** Throws HttpError or DeadlineError where the supervisor cannot do it. */
export function supervisorWorkloads(url: string): Workloads {
  const client = internalClient(url);
  /** One machine has no namespaces. */
  const path = (target: { kind: string; name: string }): string => `/workloads/${target.kind}/${target.name}`;
  return {
    id: ({ kind, name }) => `${kind}/${name}`,
    async get(target) {
      try {
        return await client.json<{ desired: number; ready: number }>('GET', path(target));
      } catch (error) {
        if (error instanceof HttpError && error.status === 404) return undefined;
        throw error;
      }
    },
    async scale(target, replicas) {
      await client.text('PUT', path(target), { replicas });
    },
  };
}
