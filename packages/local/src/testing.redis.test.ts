/** Servers for tests end with the process that started them, however it ends. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { isFree } from './ports.ts';
import { testFolder } from './testing.ts';

const TESTING = fileURLToPath(new URL('testing.ts', import.meta.url));
const SCRIPT = `
const { testFolder, testRedis } = await import(${JSON.stringify(TESTING)});
console.log(JSON.stringify({ url: await testRedis(), folder: testFolder() }));
process.stdin.once('data', () => process.stdin.destroy());`;

async function startOne(): Promise<{ end: (how: 'exit' | 'kill') => Promise<void>; port: number; folder: string }> {
  const env = { ...process.env };
  delete env['TEST_REDIS_URL'];
  const child = spawn(process.execPath, ['--input-type=module', '-e', SCRIPT], {
    env,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const { url, folder } = JSON.parse(line) as { url: string; folder: string };
  const end = async (how: 'exit' | 'kill'): Promise<void> => {
    const exited = once(child, 'exit');
    if (how === 'kill') child.kill('SIGKILL');
    else child.stdin.end('end\n');
    await exited;
  };
  return { end, port: Number(new URL(url).port), folder };
}

test('the server and its folder are gone when the process has ended', async () => {
  const one = await startOne();
  assert.equal(await isFree(one.port), false);
  await one.end('exit');
  assert.equal(await isFree(one.port), true);
  assert.equal(existsSync(one.folder), false);
});

test('what a killed process left is ended by the next', async () => {
  const killed = await startOne();
  await killed.end('kill');
  const next = await startOne();
  assert.equal(await isFree(killed.port), true);
  assert.equal(existsSync(killed.folder), false);
  await next.end('exit');
});

test('the folder is one for the process', () => {
  assert.equal(testFolder(), testFolder());
});
