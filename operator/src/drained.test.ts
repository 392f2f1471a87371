/** A closed sale waits for its own records, stage by stage, and not for those that other sales go on writing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TOPICS } from '@flashsale/sale';
import { DrainWatch } from './drained.ts';

class Log {
  readonly ends: Record<string, number | null> = { [TOPICS.purchases]: 5, [TOPICS.payments]: 2, [TOPICS.refunds]: 0 };
  readonly committed: Record<string, number> = {};
  offsets(topic: string, group: string) {
    // There is no such topic.
    if (!(topic in this.ends)) return Promise.resolve([]);
    const partition = { partition: 0, start: 0, end: this.ends[topic] ?? null };
    return Promise.resolve([{ ...partition, committed: this.committed[`${topic} ${group}`] ?? -1 }]);
  }
  commit(topic: string, group: string, offset: number): void {
    this.committed[`${topic} ${group}`] = offset;
  }
}

test('each stage is over when what it held at its beginning was consumed, however much has come since', async () => {
  const log = new Log();
  const watch = new DrainWatch();
  assert.equal(await watch.left(log), 5);
  // Another sale is busy.
  log.ends[TOPICS.purchases] = 1_000;
  log.commit(TOPICS.purchases, 'payments', 5);
  assert.equal(await watch.left(log), 5, 'orders has yet to read them');
  log.commit(TOPICS.purchases, 'orders', 6);
  // What payments wrote while it read belongs to the second stage.
  log.ends[TOPICS.payments] = 7;
  assert.equal(await watch.left(log), 7);
  log.commit(TOPICS.payments, 'orders', 7);
  log.ends[TOPICS.refunds] = 1;
  assert.equal(await watch.left(log), 1);
  log.commit(TOPICS.refunds, 'payments-refunds', 1);
  // The answer to the refund.
  log.ends[TOPICS.payments] = 8;
  assert.equal(await watch.left(log), 1);
  log.commit(TOPICS.payments, 'orders', 8);
  assert.equal(await watch.left(log), 0);
  log.ends[TOPICS.payments] = 9;
  assert.equal(await watch.left(log), 0, 'over for good');
});

test('a record that was put off is waited for, in each step of each group on the way, and so is what it leads to', async () => {
  const ways = [
    [TOPICS.purchases, 'payments'],
    [TOPICS.purchases, 'orders'],
    [TOPICS.payments, 'orders'],
    [TOPICS.refunds, 'payments-refunds'],
  ] as const;
  for (const [topic, group] of ways) {
    const log = new Log();
    for (const [of, reader] of ways) log.commit(of, reader, 5);
    const retry = (step: string): string => `${topic}.${group}.retry.${step}`;
    log.ends[retry('5s')] = 1;
    const watch = new DrainWatch();
    assert.equal(await watch.left(log), 1);
    // It failed again.
    log.ends[retry('1m')] = 3;
    log.commit(retry('1m'), `${group}.retry`, 2);
    log.commit(retry('5s'), `${group}.retry`, 1);
    assert.equal(await watch.left(log), 1);
    log.ends[retry('10m')] = 1;
    log.commit(retry('1m'), `${group}.retry`, 3);
    assert.equal(await watch.left(log), 1);
    log.ends[TOPICS.payments] = 6;
    log.commit(retry('10m'), `${group}.retry`, 1);
    assert.equal(await watch.left(log), 1);
    log.commit(TOPICS.payments, 'orders', 6);
    assert.equal(await watch.left(log), 0);
  }
});

test('an end that cannot be read is never taken for nothing to read', async () => {
  const log = new Log();
  log.ends[TOPICS.purchases] = null;
  await assert.rejects(new DrainWatch().left(log), /partition 0 of flashsale.purchases cannot be read/);
});
