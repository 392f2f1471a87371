/** A cluster with nodes: pods are scheduled and become Ready, also after it was stopped and started again. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { freePort, startKube, testFolder } from '../testing.ts';
import { kubectl } from './kubectl.ts';

test('a Deployment gets its pods Ready on the nodes, before and after a restart of all', async () => {
  const options = { dataDir: join(testFolder(), 'whole'), port: await freePort(), nodes: 2 };
  let server = await startKube(options);
  try {
    const ask = (...args: string[]): Promise<string> => kubectl(server.kubeconfig, ...args);
    await ask('create', 'deployment', 'till', '--image=none', '--replicas=5');
    await ask('wait', '--for=jsonpath={.status.readyReplicas}=5', 'deployment/till', '--timeout=60s');
    const nodes = await ask('get', 'nodes', '--output=jsonpath={.items[*].status.nodeInfo.kubeletVersion}');
    assert.equal(nodes, 'kwok-0.8.0 kwok-0.8.0');

    // What keeps them Ready.
    await ask('wait', '--for=create', 'lease/kwok-1', 'lease/kwok-2', '--namespace=kube-node-lease', '--timeout=60s');

    await server.stop();
    server = await startKube(options);
    await ask('scale', 'deployment/till', '--replicas=9');
    await ask('wait', '--for=jsonpath={.status.readyReplicas}=9', 'deployment/till', '--timeout=60s');
    await ask('delete', 'deployment/till', '--wait');
    await ask('wait', '--for=delete', 'pod', '--selector=app=till', '--timeout=60s');
  } finally {
    await server.stop();
  }
});
