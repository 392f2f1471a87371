/** CPU and memory of a process tree. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { markedPids, parseStat, treeOf, useOf, type ProcessStat } from './process-tree.ts';

test('a line of /proc/<pid>/stat: the name may hold anything', () => {
  const line = '42 (a) b (c) S 7 42 42 0 -1 4194560 1 2 3 4 150 50 20 30 20 0 1 0 1000 2000000 250 184467 1 1 0';
  assert.deepEqual(parseStat(line), { pid: 42, parent: 7, cpuMs: 2500, memoryMb: 1.024 });
});

const stat = (pid: number, parent: number): ProcessStat => ({ pid, parent, cpuMs: 1, memoryMb: 1 });

test('a tree is the root and all below it, each once', () => {
  const all = [stat(1, 0), stat(2, 1), stat(3, 2), stat(4, 1), stat(5, 4), stat(9, 0)];
  const pids = (roots: number[]): number[] =>
    treeOf(roots, all)
      .map(({ pid }) => pid)
      .toSorted((a, b) => a - b);
  assert.deepEqual(pids([2]), [2, 3]);
  assert.deepEqual(pids([1, 3]), [1, 2, 3, 4, 5]);
  assert.deepEqual(pids([77]), [], 'a root that is gone has no tree');
});

test('what a child burns is counted, while it runs and after it has ended', async () => {
  const before = useOf([process.pid]);
  const burn = 'const end = process.cpuUsage().user + 300000; while (process.cpuUsage().user < end);';
  const child = spawn(process.execPath, ['-e', `${burn} console.log("burnt"); process.stdin.resume()`], {
    env: { ...process.env, LOADTEST_MARK: 'here' },
  });
  await once(child.stdout, 'data');
  const during = useOf([process.pid]);
  assert.ok(during.cpuMs - before.cpuMs >= 300, `${during.cpuMs - before.cpuMs} ms`);
  assert.equal(during.processes, before.processes + 1);
  assert.deepEqual(markedPids('LOADTEST_MARK=here'), [child.pid]);
  assert.equal(useOf([], 'LOADTEST_MARK=here').processes, 1, 'found without its parent');
  child.stdin.end();
  await once(child, 'exit');
  assert.ok(useOf([process.pid]).cpuMs - before.cpuMs >= 300);
});
