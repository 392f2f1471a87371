/** A pid file counts only for the very process it was written for. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { endByPidFile, identityOf, runningPid, writePidFile } from './pid.ts';

const folder = mkdtempSync(join(tmpdir(), 'flashsale-pid-'));
after(() => rmSync(folder, { recursive: true, force: true }));

test('a running process is found and ended', async () => {
  const child = spawn('sleep', ['60']);
  await once(child, 'spawn');
  const file = join(folder, 'a.pid');
  writePidFile(file, child.pid ?? 0);
  assert.equal(runningPid(file), child.pid);
  const exited = once(child, 'exit');
  assert.equal(await endByPidFile(file, 'SIGTERM', 5000), true);
  assert.deepEqual(await exited, [null, 'SIGTERM']);
  assert.equal(existsSync(file), false);
  assert.equal(runningPid(file), undefined);
});

test('one that does not listen is killed after the grace', async () => {
  const script = "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); console.log('ready')";
  const child = spawn(process.execPath, ['-e', script]);
  await once(child.stdout, 'data');
  const file = join(folder, 'b.pid');
  writePidFile(file, child.pid ?? 0);
  const exited = once(child, 'exit');
  await endByPidFile(file, 'SIGTERM', 50);
  assert.deepEqual(await exited, [null, 'SIGKILL']);
});

test('the number of another process is left alone', async () => {
  const file = join(folder, 'c.pid');
  const [pid, start, boot] = (identityOf(process.pid) ?? '').split(' ');
  writeFileSync(file, `${pid ?? ''} ${Number(start) - 1} ${boot ?? ''}\n`);
  assert.equal(runningPid(file), undefined);
  assert.equal(await endByPidFile(file, 'SIGKILL', 0), false);
});
