/** Scaling of workloads that sales share, that are missing, or whose lag cannot be read. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PartitionOffsets, ScaleRule } from '@flashsale/sale';
import { Demands } from './demands.ts';
import { scaleTargets, type ScaleMode } from './scale.ts';
import type { ScaleStatus } from './status.ts';

const RULE: ScaleRule = {
  target: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'till' },
  min: 1,
  max: 50,
  warm: 20,
  lag: { topic: 'flashsale.purchases', group: 'payments', perReplica: 100 },
};

/** One workload, and sales that scale it. */
class Till {
  replicas: number | undefined = 2;
  lag: number | undefined = 0;
  now = 1_000_000;
  readonly demands = new Demands();
  readonly #since = new Map<string, Map<string, number>>();
  readonly #status = new Map<string, readonly ScaleStatus[]>();

  async pass(sale: string, mode: ScaleMode): Promise<ScaleStatus | undefined> {
    const since = this.#since.get(sale) ?? new Map<string, number>();
    this.#since.set(sale, since);
    const deps = { workloads: this.#workloads, log: { offsets: () => this.#offsets() }, demands: this.demands };
    const { targets } = await scaleTargets([RULE], mode, this.#status.get(sale) ?? [], deps, {
      sale,
      since,
      now: this.now,
    });
    this.#status.set(sale, targets);
    return targets[0];
  }

  readonly #workloads = {
    get: () =>
      Promise.resolve(this.replicas === undefined ? undefined : { desired: this.replicas, ready: this.replicas }),
    scale: (_target: unknown, replicas: number) => {
      this.replicas = replicas;
      return Promise.resolve();
    },
  };

  #offsets(): Promise<PartitionOffsets[]> {
    if (this.lag === undefined) return Promise.reject(new Error('Kafka is away'));
    const partition = { start: 0, committed: 0, end: this.lag };
    return Promise.resolve(
      Array.from({ length: 50 }, (_, n) => ({ ...partition, partition: n, end: n === 0 ? (this.lag ?? 0) : 0 })),
    );
  }
}

test('the sale that wants most gets it, and what was there before comes back when the last one has ended', async () => {
  const till = new Till();
  await till.pass('early', 'ahead');
  assert.equal(till.replicas, 20);
  const late = await till.pass('late', 'ahead');
  assert.equal(late?.before, 2, 'not what the other sale has made of it');
  // The early one is over: the late one keeps what it needs.
  assert.equal((await till.pass('early', 'before'))?.desired, 20);
  assert.equal(till.replicas, 20);
  await till.pass('late', 'before');
  assert.equal(till.replicas, 2);
  assert.equal((await till.pass('early', 'before'))?.desired, 2);
});

test('replicas come down only when the lag has asked for fewer for a while', async () => {
  const till = new Till();
  await till.pass('drop', 'ahead');
  await till.pass('drop', 'lag');
  till.now += 29_999;
  await till.pass('drop', 'lag');
  assert.equal(till.replicas, 20);
  till.now += 1;
  await till.pass('drop', 'lag');
  assert.equal(till.replicas, 1);
});

test('without a lag, workloads stay as they are while a sale runs, and are warm before it', async () => {
  const till = new Till();
  till.lag = undefined;
  await till.pass('drop', 'ahead');
  assert.equal(till.replicas, 20);
  till.now += 60_000;
  const status = await till.pass('drop', 'lag');
  assert.deepEqual([till.replicas, status?.lag], [20, 0]);
});

test('a workload that comes late goes back to what it was when it came', async () => {
  const till = new Till();
  till.replicas = undefined;
  const missing = await till.pass('drop', 'ahead');
  assert.deepEqual(missing, { target: 'Deployment/till', lag: 0, desired: 0, ready: 0, before: 0, missing: true });
  till.replicas = 3;
  await till.pass('drop', 'ahead');
  await till.pass('drop', 'before');
  assert.equal(till.replicas, 3);
});
