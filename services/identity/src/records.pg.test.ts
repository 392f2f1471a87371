/** The provider's records on a real database. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { testDatabase } from '@flashsale/local/testing';
import { migrate, openDatabase, type Database } from '@flashsale/platform/database';
import { createLogger } from '@flashsale/platform/log';
import { PrismaClient } from './generated/prisma/client.ts';
import { recordAdapter, removeExpired } from './records.ts';
import { loadSecrets } from './secrets.ts';
import { MIGRATIONS } from './service.ts';

let database: Database<PrismaClient>;

before(async () => {
  const url = await testDatabase();
  await migrate(url, MIGRATIONS, createLogger('records-test', 'silent'));
  database = openDatabase(PrismaClient, url);
  await database.connect();
});
after(() => database.disconnect());

test('a record is found by id and uid until it expires, and each model has its own', async () => {
  const sessions = recordAdapter(database)('Session');
  const grants = recordAdapter(database)('Grant');
  await sessions.upsert('a', { uid: 'uid-a', accountId: 'x' }, 60);
  await sessions.upsert('old', { uid: 'uid-old' }, -1);
  assert.deepEqual(await sessions.find('a'), { uid: 'uid-a', accountId: 'x' });
  assert.deepEqual(await sessions.findByUid('uid-a'), { uid: 'uid-a', accountId: 'x' });
  assert.equal(await grants.find('a'), undefined);
  assert.equal(await sessions.find('old'), undefined);
  await sessions.upsert('a', { uid: 'uid-b' }, 60);
  assert.equal(await sessions.findByUid('uid-a'), undefined);
  await sessions.destroy('a');
  assert.equal(await sessions.find('a'), undefined);
});

test('of two that consume a record one is refused', async () => {
  const codes = recordAdapter(database)('AuthorizationCode');
  await codes.upsert('code', { grantId: 'g' }, 60);
  const outcomes = await Promise.allSettled([codes.consume('code'), codes.consume('code')]);
  assert.deepEqual(outcomes.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  const found = await codes.find('code');
  assert.ok(Math.abs((found?.['consumed'] as number) - Date.now() / 1000) < 5);
});

test("revoking a grant removes that grant's records only", async () => {
  const tokens = recordAdapter(database)('RefreshToken');
  await tokens.upsert('1', { grantId: 'one' }, 60);
  await tokens.upsert('2', { grantId: 'two' }, 60);
  await tokens.revokeByGrantId('one');
  assert.equal(await tokens.find('1'), undefined);
  assert.ok(await tokens.find('2'));
});

test('expired records are removed in bounded steps, others stay', async () => {
  const interactions = recordAdapter(database)('Interaction');
  await removeExpired(database, 1000);
  for (let i = 0; i < 5; i++) await interactions.upsert(`gone-${i}`, {}, -10);
  await interactions.upsert('stays', {}, 60);
  assert.equal(await removeExpired(database, 3), 3);
  assert.equal(await removeExpired(database, 3), 2);
  assert.equal(await removeExpired(database, 3), 0);
  assert.ok(await interactions.find('stays'));
});

test('processes that start at the same time end up with the same keys', async () => {
  const loaded = await Promise.all([loadSecrets(database), loadSecrets(database), loadSecrets(database)]);
  assert.equal(new Set(loaded.map(({ signing }) => signing.kid)).size, 1);
  assert.equal(new Set(loaded.map(({ cookieKeys }) => cookieKeys.join())).size, 1);
});
