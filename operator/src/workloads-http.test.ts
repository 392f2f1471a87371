/** Workloads through the supervisor's own API: found, missing, scaled, and refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serveWorkloads } from '@flashsale/local/supervisor/workloads-api';
import { HttpError } from '@flashsale/platform/http';
import { supervisorWorkloads } from './workloads-http.ts';

test('a workload is found and scaled, a missing one is undefined, a refusal is an error', async (t) => {
  let desired = 1;
  const till = {
    status: () => Promise.resolve({ desired, ready: 1 }),
    scale: (replicas: number) => {
      if (replicas > 50) throw new RangeError('replicas must be a whole number from 0 to 50');
      desired = replicas;
    },
  };
  type Served = Parameters<typeof serveWorkloads>[1];
  const api = await serveWorkloads(0, new Map([['Deployment/till', till]]) as unknown as Served);
  t.after(() => api.close());
  const workloads = supervisorWorkloads(`http://127.0.0.1:${api.port}`);
  const target = { kind: 'Deployment', name: 'till' };
  await workloads.scale(target, 3);
  assert.deepEqual(await workloads.get(target), { desired: 3, ready: 1 });
  assert.equal(await workloads.get({ ...target, name: 'nowhere' }), undefined);
  await assert.rejects(workloads.scale(target, 51), (error) => error instanceof HttpError && error.status === 400);
  await api.close();
  await assert.rejects(workloads.get(target));
});
