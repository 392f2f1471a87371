/** Where the operator runs, by its environment. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError } from '@flashsale/platform/config';
import { readConfig } from './config.ts';

const COMMON = {
  REDIS_URL: 'redis://r:6379',
  KAFKA_BROKERS: 'k:9092',
  ORDERS_URL: 'http://orders:8080',
  CATALOG_URL: 'http://catalog:8080',
};
const MACHINE = { RESOURCES_DIR: '/data', SUPERVISOR_URL: 'http://127.0.0.1:9000' };

test('a folder and a supervisor are one machine, also beside a kubeconfig', () => {
  assert.deepEqual(readConfig({ ...COMMON, ...MACHINE }).machine, MACHINE);
  assert.deepEqual(readConfig({ ...COMMON, ...MACHINE, KUBECONFIG: '/k' }).machine, MACHINE);
});

test('a kubeconfig, or a pod, is a cluster', () => {
  for (const variable of ['KUBECONFIG', 'KUBERNETES_SERVICE_HOST']) {
    const config = readConfig({ ...COMMON, [variable]: 'x', RESOURCES_DIR: '' });
    assert.equal(config.machine, undefined);
    assert.deepEqual(config.cluster, { LEASE_NAMESPACE: 'flashsale-system', LEASE_DURATION: 15_000 });
  }
  const given = { WATCH_NAMESPACE: 'shop', LEASE_NAMESPACE: 'ops' };
  const { cluster } = readConfig({ ...COMMON, KUBECONFIG: 'x', ...given, LEASE_DURATION: '1m30s' });
  assert.deepEqual(cluster, { ...given, LEASE_DURATION: 90_000 });
});

test('neither, or half of one, is refused by the name of what is missing', () => {
  const about =
    (variable: string) =>
    (error: unknown): boolean =>
      error instanceof ConfigError && error.variables.join() === variable;
  assert.throws(() => readConfig(COMMON), about('RESOURCES_DIR'));
  assert.throws(() => readConfig({ ...COMMON, RESOURCES_DIR: '/data' }), about('SUPERVISOR_URL'));
  assert.throws(() => readConfig({ ...COMMON, KUBECONFIG: 'x', LEASE_NAMESPACE: 'Not one' }), about('LEASE_NAMESPACE'));
  for (const LEASE_DURATION of ['15', '2s', '11m', 'long']) {
    assert.throws(() => readConfig({ ...COMMON, KUBECONFIG: 'x', LEASE_DURATION }), about('LEASE_DURATION'));
  }
});
