/** Workloads through the supervisor's own API. */
import { after, before } from 'node:test';
import { serveWorkloads, type WorkloadsApi } from '@flashsale/local/supervisor/workloads-api';
import { freePort } from '@flashsale/local/testing';
import { supervisorWorkloads } from './workloads-http.ts';
import { workloadsContract } from './workloads.contract.ts';

let desired = 1;
const till = {
  status: () => Promise.resolve({ desired, ready: 1 }),
  scale: (replicas: number) => {
    if (replicas < 0) throw new RangeError('replicas must be a whole number from 0');
    desired = replicas;
  },
};

let api: WorkloadsApi;
let nobody: number;
before(async () => {
  type Served = Parameters<typeof serveWorkloads>[1];
  api = await serveWorkloads(0, new Map([['Deployment/till', till]]) as unknown as Served);
  nobody = await freePort();
});
after(() => api.close());

workloadsContract(() => ({
  workloads: supervisorWorkloads(`http://127.0.0.1:${api.port}`),
  away: supervisorWorkloads(`http://127.0.0.1:${nobody}`),
  target: { namespace: 'shop', apiVersion: 'apps/v1', kind: 'Deployment', name: 'till' },
}));
