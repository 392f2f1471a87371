/** Workloads of a real API server, and an autoscaler on one of them. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { freePort, testKube } from '@flashsale/local/testing';
import { createKubeClient, KubeConfig } from '@flashsale/kube/client';
import { openCluster, type Cluster } from '../api/cluster.fixture.ts';
import { workloadsContract } from '../workloads.contract.ts';
import { createAutoscaler, createDeployment, startKubelet } from './world.fixture.ts';
import { AUTOSCALERS, kubeWorkloads, type Autoscaler } from './workloads.ts';

let cluster: Cluster;
let nobody: ReturnType<typeof createKubeClient>;
const autoscalers: Autoscaler[] = [];
const TARGET = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'till' };
const targetOf = (name: string) => ({ ...TARGET, name, namespace: cluster.namespace });
const of = (client: ReturnType<typeof createKubeClient>) =>
  kubeWorkloads({ resource: (kind) => client.resource(kind), autoscalers: new Set(autoscalers) });

before(async () => {
  cluster = await openCluster(await testKube());
  const config = new KubeConfig();
  const server = `https://127.0.0.1:${await freePort()}`;
  config.loadFromClusterAndUser({ name: 'nobody', server, skipTLSVerify: true }, { name: 'nobody' });
  nobody = createKubeClient({ config, fieldManager: 'tests' });
  await createDeployment(cluster, 'till', 1);
  // Stopped once one pod is Ready: no other becomes so.
  const stop = await startKubelet(cluster.client, cluster.namespace, 0);
  const workloads = of(cluster.client);
  for (let tries = 0; (await workloads.get(targetOf('till')))?.ready !== 1; tries++) {
    assert.ok(tries < 300, 'Ready in time');
    await pause(50);
  }
  await stop();
});
after(async () => {
  await nobody.close();
  await cluster.close();
});

workloadsContract(() => ({ workloads: of(cluster.client), away: of(nobody), target: targetOf('till') }));

test('a Deployment that an autoscaler looks after is told, by its group, kind, name and namespace', async () => {
  await createDeployment(cluster, 'held', 1);
  await createAutoscaler(cluster, 'held');
  const { items } = await cluster.client.resource<Autoscaler>(AUTOSCALERS).list({ namespace: cluster.namespace });
  autoscalers.push(...items);
  const workloads = of(cluster.client);
  assert.equal((await workloads.get(targetOf('held')))?.heldBy, 'HorizontalPodAutoscaler/held');
  assert.equal((await workloads.get(targetOf('till')))?.heldBy, undefined);
});

test('what is no Deployment or StatefulSet of apps/v1 is refused in words', async () => {
  const job = { ...targetOf('till'), apiVersion: 'batch/v1', kind: 'Job' };
  await assert.rejects(of(cluster.client).get(job), /name a Deployment or StatefulSet of apps\/v1/);
});
