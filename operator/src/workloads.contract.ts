/** What every adapter of the Workloads port keeps to. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Workloads, WorkloadTarget } from '@flashsale/sale';

export interface WorkloadsUnderTest {
  readonly workloads: Workloads;
  /** The same adapter to a server that is away. */
  readonly away: Workloads;
  /** A workload of one replica, which is Ready, and of which no more than one becomes Ready. */
  readonly target: WorkloadTarget;
}

export function workloadsContract(under: () => WorkloadsUnderTest): void {
  test('a workload is known by one id, and another one by another', () => {
    const { workloads, target } = under();
    assert.equal(workloads.id(target), workloads.id({ ...target }));
    assert.notEqual(workloads.id(target), workloads.id({ ...target, name: 'other' }));
    assert.notEqual(workloads.id(target), workloads.id({ ...target, kind: 'StatefulSet' }));
  });

  test('replicas asked for and replicas Ready are told apart', async () => {
    const { workloads, target } = under();
    assert.deepEqual(await workloads.get(target), { desired: 1, ready: 1 });
    await workloads.scale(target, 3);
    assert.deepEqual(await workloads.get(target), { desired: 3, ready: 1 });
    await workloads.scale(target, 3);
    assert.equal((await workloads.get(target))?.desired, 3, 'the same again changes nothing');
    await workloads.scale(target, 1);
    assert.deepEqual(await workloads.get(target), { desired: 1, ready: 1 });
  });

  test('a workload that is missing is undefined, and cannot be scaled', async () => {
    const { workloads, target } = under();
    for (const missing of [
      { ...target, name: 'nowhere' },
      { ...target, kind: 'StatefulSet' },
    ]) {
      assert.equal(await workloads.get(missing), undefined);
      await assert.rejects(workloads.scale(missing, 1));
    }
  });

  test('a number of replicas that cannot be is refused, and changes nothing', async () => {
    const { workloads, target } = under();
    await assert.rejects(workloads.scale(target, -1));
    assert.equal((await workloads.get(target))?.desired, 1);
  });

  test('a server that is away is an error, never a missing workload', async () => {
    const { away, target } = under();
    await assert.rejects(away.get(target));
    await assert.rejects(away.scale(target, 1));
  });
}
