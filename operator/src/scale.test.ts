/** Scaling of workloads that sales share, that are missing, or whose lag cannot be read. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PartitionOffsets, ScaleRule } from '@flashsale/sale';
import { Demands } from './demands.ts';
import { recall, scaleTargets, type ScaleMode } from './scale.ts';
import { newStatus, type SaleStatus, type ScaleStatus } from './status.ts';

const RULE: ScaleRule = {
  target: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'till' },
  min: 1,
  max: 50,
  warm: 20,
  lag: { topic: 'flashsale.purchases', group: 'payments', perReplica: 100 },
};

const WARM = { leadTimeMs: 600_000, shards: 1, cache: { ttlMs: 1, jitter: 0, pages: 0 } };

/** One workload, and sales that scale it. */
class Till {
  replicas: number | undefined = 2;
  lag: number | undefined = 0;
  now = 1_000_000;
  opensAt = this.now;
  heldBy: string | undefined;
  readonly demands = new Demands();
  readonly #since = new Map<string, Map<string, number>>();
  readonly #status = new Map<string, readonly ScaleStatus[]>();

  async pass(sale: string, mode: ScaleMode): Promise<ScaleStatus | undefined> {
    const since = this.#since.get(sale) ?? new Map<string, number>();
    this.#since.set(sale, since);
    const deps = { workloads: this.workloads, log: { offsets: () => this.#offsets() }, demands: this.demands };
    const { targets } = await scaleTargets([RULE], mode, this.#status.get(sale) ?? [], deps, {
      sale: { name: sale, namespace: 'shop', opensAt: this.opensAt, warm: WARM },
      since,
      now: this.now,
    });
    this.#status.set(sale, targets);
    return targets[0];
  }

  readonly workloads = {
    id: () => 'till',
    get: () =>
      Promise.resolve(
        this.replicas === undefined
          ? undefined
          : { desired: this.replicas, ready: this.replicas, ...(this.heldBy ? { heldBy: this.heldBy } : {}) },
      ),
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

test('a workload is scaled up only when it has to be, by what was measured before', async () => {
  const till = new Till();
  const opening = till.now;
  till.opensAt = opening + 590_000;
  const first = await till.pass('first', 'ahead');
  assert.deepEqual([till.replicas, first?.desired], [20, 20], 'never measured: ten minutes ahead');
  till.now += 40_000;
  assert.equal((await till.pass('first', 'ahead'))?.readySeconds, 40);
  await till.pass('first', 'before');
  assert.equal(till.replicas, 2);

  const waiting = await till.pass('second', 'ahead');
  const at = new Date(till.opensAt - 60_000).toISOString();
  assert.deepEqual(waiting, { target: 'Deployment/till', lag: 0, desired: 2, ready: 2, before: 2, scaleUpAt: at });
  till.replicas = 3;
  assert.equal((await till.pass('second', 'ahead'))?.before, 3, 'somebody else may scale it meanwhile');
  till.now = till.opensAt - 60_000;
  const scaled = await till.pass('second', 'ahead');
  assert.deepEqual([till.replicas, scaled?.before, scaled?.scaleUpAt], [20, 3, undefined]);
  till.opensAt += 3_600_000;
  await till.pass('second', 'ahead');
  assert.equal(till.replicas, 20, 'an opening that is put off does not scale down');
});

test('a sale that ends before its scale-up brings nothing back', async () => {
  const till = new Till();
  till.opensAt = till.now + 3_600_000;
  await till.pass('early', 'ahead');
  till.replicas = 7;
  await till.pass('early', 'before');
  assert.equal(till.replicas, 7);
});

test('a workload that an autoscaler looks after is left alone, and taken up when that is gone', async () => {
  const till = new Till();
  till.heldBy = 'HorizontalPodAutoscaler/till';
  for (const mode of ['ahead', 'lag', 'before'] as const) {
    const status = await till.pass('drop', mode);
    assert.deepEqual([till.replicas, status?.heldBy, status?.desired], [2, till.heldBy, 2]);
  }
  till.heldBy = undefined;
  till.replicas = 4;
  const status = await till.pass('drop', 'ahead');
  assert.deepEqual([till.replicas, status?.before, status?.heldBy], [20, 4, undefined]);
});

test('what a status says is known again after a start: times of every sale, replicas of those that are at work', () => {
  const scale = [{ target: 'Deployment/till', lag: 0, desired: 20, ready: 20, before: 2, readySeconds: 900 }];
  const accepted = { name: 'drop', namespace: 'shop', scale: [RULE] } as unknown as SaleStatus['accepted'];
  for (const [phase, replicas] of [
    ['Scheduled', undefined],
    ['Open', 20],
    ['Closed', undefined],
  ] as const) {
    const { demands, workloads } = new Till();
    recall({ ...newStatus, ...(accepted && { accepted }), phase, scale }, { workloads, demands });
    assert.deepEqual([demands.readySeconds('till'), demands.most('till')], [900, replicas], phase);
  }
});
