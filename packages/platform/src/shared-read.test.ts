/** Reads that are shared: what each reader sees, who waits for whom, and that none is left behind. */
import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'node:test';
import fc from 'fast-check';
import { SharedCalls, SharedReads } from './shared-read.ts';

/** A log that grows, and how often it was read from its start, at most how often at a time. */
class Log {
  readonly records: number[] = [];
  opened = 0;
  closed = 0;
  most = 0;
  failAt = Infinity;

  async *open(): AsyncGenerator<number> {
    this.opened += 1;
    this.most = Math.max(this.most, this.opened - this.closed);
    const end = this.records.length;
    try {
      for (let at = 0; at < end; at += 1) {
        await turn();
        if (at === this.failAt) throw new Error('the log is away');
        yield this.records[at] ?? 0;
      }
    } finally {
      this.closed += 1;
    }
  }
}

async function all(reads: SharedReads<number>): Promise<number[]> {
  const found: number[] = [];
  for await (const record of reads.read('log')) found.push(record);
  return found;
}

test('who asks together shares one read, and who asks later gets one that began later', async () => {
  const log = new Log();
  log.records.push(1, 2, 3);
  const reads = new SharedReads<number>(() => log.open());
  const first = [all(reads), all(reads), all(reads)];
  await turn();
  log.records.push(4);
  const later = [all(reads), all(reads)];
  assert.deepEqual(await Promise.all(first), [
    [1, 2, 3],
    [1, 2, 3],
    [1, 2, 3],
  ]);
  assert.deepEqual(await Promise.all(later), [
    [1, 2, 3, 4],
    [1, 2, 3, 4],
  ]);
  assert.deepEqual([log.opened, log.closed, log.most], [2, 2, 1]);
});

test('a failure reaches every reader, and the next read begins anew', async () => {
  const log = new Log();
  log.records.push(1, 2);
  log.failAt = 1;
  const reads = new SharedReads<number>(() => log.open());
  const found = await Promise.allSettled([all(reads), all(reads)]);
  assert.deepEqual(
    found.map(({ status }) => status),
    ['rejected', 'rejected'],
  );
  log.failAt = Infinity;
  assert.deepEqual(await all(reads), [1, 2]);
});

test('readers of any number who come, stop and read on at any time see all that was there when they came', async () => {
  const reader = fc.record({
    comesAfter: fc.nat(30),
    stopsAt: fc.option(fc.nat(6), { nil: undefined }),
    slow: fc.nat(3),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(reader, { minLength: 1, maxLength: 12 }), async (readers) => {
      const log = new Log();
      const reads = new SharedReads<number>(() => log.open());
      const turns = async (count: number): Promise<void> => {
        for (let at = 0; at < count; at += 1) await turn();
      };
      const one = async ({ comesAfter, stopsAt, slow }: (typeof readers)[number]): Promise<void> => {
        await turns(comesAfter);
        log.records.push(log.records.length);
        const there = log.records.length;
        const seen: number[] = [];
        for await (const record of reads.read('log')) {
          seen.push(record);
          if (seen.length === stopsAt) break;
          await turns(slow);
        }
        assert.deepEqual(seen, [...seen.keys()], 'in order, none twice');
        assert.ok(seen.length >= Math.min(there, stopsAt === undefined || stopsAt === 0 ? Infinity : stopsAt));
      };
      await Promise.all(readers.map(one));
      await turn();
      assert.equal(log.closed, log.opened);
      assert.ok(log.most <= 1);
    }),
    { numRuns: 200 },
  );
});

test('a call answers all who asked before it began, also with its failure; who asks later gets a later one', async () => {
  const calls = new SharedCalls<number>();
  let begun = 0;
  let running = 0;
  const work = async (): Promise<number> => {
    begun += 1;
    running += 1;
    assert.equal(running, 1);
    const mine = begun;
    await turn();
    running -= 1;
    if (mine === 2) throw new Error('away');
    return mine;
  };
  const first = [calls.call('a', work), calls.call('a', work)];
  await Promise.resolve();
  await Promise.resolve();
  assert.equal(begun, 1);
  const second = [calls.call('a', work), calls.call('a', work)];
  assert.deepEqual(await Promise.all(first), [1, 1]);
  for (const call of second) await assert.rejects(call, /away/);
  assert.equal(await calls.call('a', work), 3);
});
