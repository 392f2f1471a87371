/** The Redis of the local platform: what was acknowledged survives an orderly stop and a crash. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { freePort } from '../ports.ts';
import { exchange } from '../probe.ts';
import { startRedis } from './redis.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'flashsale-redis-'));
after(() => rmSync(dataDir, { recursive: true, force: true }));

const ask = (port: number, command: string): Promise<string> =>
  exchange(port, `${command}\r\n`, (received) => (received.includes('\r\n') ? received.toString().trim() : undefined));

test('data is there after a stop and after kill -9; it listens on loopback and never evicts', async () => {
  const port = await freePort();
  const first = await startRedis({ dataDir, port });
  assert.equal(await ask(port, 'SET stopped kept'), '+OK');
  await first.stop();
  assert.match(await first.exited, /^exit code 0$/);

  const second = await startRedis({ dataDir, port });
  assert.match(await ask(port, 'GET stopped'), /kept/);
  assert.equal(await ask(port, 'SET crashed kept'), '+OK');
  await second.kill();
  assert.equal(await second.exited, 'SIGKILL');

  const third = await startRedis({ dataDir, port });
  assert.match(await ask(port, 'GET crashed'), /kept/);
  assert.match(await ask(port, 'CONFIG GET bind'), /\*2/);
  const policy = await exchange(port, 'CONFIG GET maxmemory-policy\r\n', (received) =>
    received.includes('noeviction') ? 'noeviction' : undefined,
  );
  assert.equal(policy, 'noeviction');
  await third.stop();
});

test('a port that is taken is an error', async () => {
  const port = await freePort();
  const running = await startRedis({ dataDir: join(dataDir, 'one'), port, durable: false });
  try {
    await assert.rejects(
      startRedis({ dataDir: join(dataDir, 'two'), port, durable: false }),
      /redis cannot start: port \d+ is in use/,
    );
  } finally {
    await running.stop();
  }
});
