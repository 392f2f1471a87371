/** The PostgreSQL of the local platform: committed rows survive an orderly stop and a crash. */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { freePort } from '../ports.ts';
import { postgresQuery } from '../probe.ts';
import { startPostgres } from './postgres.ts';

const folder = mkdtempSync(join(tmpdir(), 'flashsale-pg-'));
after(() => rmSync(folder, { recursive: true, force: true }));

test('rows are there after a stop and after kill -9, also below a folder that only its owner may enter', async () => {
  chmodSync(folder, 0o700);
  const dataDir = join(folder, 'postgres');
  const port = await freePort();
  const first = await startPostgres({ dataDir, port });
  await postgresQuery(port, 'postgres', 'CREATE TABLE kept (n int)');
  await postgresQuery(port, 'postgres', 'INSERT INTO kept VALUES (1)');
  assert.deepEqual(await postgresQuery(port, 'postgres', 'SHOW fsync'), ['on']);
  await first.stop();
  assert.equal(await first.exited, 'exit code 0');

  const second = await startPostgres({ dataDir, port });
  await postgresQuery(port, 'postgres', 'INSERT INTO kept VALUES (2)');
  await second.kill();

  const third = await startPostgres({ dataDir, port });
  assert.deepEqual(await postgresQuery(port, 'postgres', 'SELECT n FROM kept ORDER BY n'), ['1', '2']);
  await assert.rejects(postgresQuery(port, 'postgres', 'SELECT nothing'), /column "nothing" does not exist/);
  await third.stop();
});
