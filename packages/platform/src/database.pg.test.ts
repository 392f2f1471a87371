/** The database adapter against a real PostgreSQL: creation, migrations, limits, and the names of violated constraints. */
import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { testPostgres } from '@flashsale/local/testing';
import pg from 'pg';
import { ensureDatabase, migrate, openDatabase, violatedConstraint, type Database } from './database.ts';
import { PrismaClient } from './fixtures/generated/prisma/client.ts';
import { createLogger } from './log.ts';

const log = createLogger('test', 'silent');
const FIXTURE = join(import.meta.dirname, 'fixtures/prisma/migrations');

let server: string;
let url: string;
let db: Database<PrismaClient>;

before(async () => {
  server = await testPostgres();
  url = freshUrl();
  await ensureDatabase(url);
  await migrate(url, FIXTURE, log);
  // A zone far from UTC shows where a time is read or written without its zone.
  await sql(url, `alter database "${new URL(url).pathname.slice(1)}" set timezone = 'Asia/Kathmandu'`);
  db = openDatabase(PrismaClient, url);
  await db.connect();
});
after(() => db.disconnect());

function freshUrl(): string {
  const fresh = new URL(server);
  fresh.pathname = `/test_${randomUUID().replaceAll('-', '')}`;
  return fresh.href;
}

async function sql<R extends pg.QueryResultRow>(at: string, text: string): Promise<R[]> {
  const client = new pg.Client({ connectionString: at });
  await client.connect();
  try {
    return (await client.query<R>(text)).rows;
  } finally {
    await client.end();
  }
}

async function migrationFolder(t: TestContext, migrations: Record<string, string>): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'migrations-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(migrations)) {
    await mkdir(join(dir, name));
    await writeFile(join(dir, name, 'migration.sql'), text);
  }
  return dir;
}

test('many processes create and migrate one database at the same time', async (t) => {
  const fresh = freshUrl();
  const dir = await migrationFolder(t, {
    '1_a': 'create table a (id int); insert into a values (1);',
    '2_b': 'alter table a add column b text;',
  });
  await Promise.all(
    Array.from({ length: 5 }, async () => {
      await ensureDatabase(fresh);
      await migrate(fresh, dir, log);
    }),
  );
  assert.deepEqual(await sql(fresh, 'select * from a'), [{ id: 1, b: null }]);
  const rows = await sql(fresh, 'select * from _prisma_migrations order by migration_name');
  assert.equal(rows.length, 2);
  assert.equal(rows[0]?.['migration_name'], '1_a');
  assert.equal(rows[0]['applied_steps_count'], 1);
  assert.ok(rows[0]['finished_at'] instanceof Date);
  const text = 'create table a (id int); insert into a values (1);';
  assert.equal(rows[0]['checksum'], createHash('sha256').update(text).digest('hex'));
});

test('an applied migration that was changed is refused, and nothing is done', async (t) => {
  const fresh = freshUrl();
  await ensureDatabase(fresh);
  await migrate(fresh, await migrationFolder(t, { '1_a': 'create table a (id int);' }), log);
  const changed = await migrationFolder(t, { '1_a': 'create table a (id bigint);', '2_b': 'create table b (id int);' });
  await assert.rejects(migrate(fresh, changed, log), /migration 1_a was changed after it had been applied/);
  assert.deepEqual(await sql(fresh, "select to_regclass('b') as b"), [{ b: null }]);
});

test('a migration that fails is undone whole and can be mended', async (t) => {
  const fresh = freshUrl();
  await ensureDatabase(fresh);
  const broken = await migrationFolder(t, { '1_a': 'create table a (id int); create table a (id int);' });
  await assert.rejects(migrate(fresh, broken, log), /migration 1_a failed and was undone: relation "a" already exists/);
  await migrate(fresh, await migrationFolder(t, { '1_a': 'create table a (id int);' }), log);
  assert.deepEqual(await sql(fresh, 'select * from a'), []);
});

test('a migration that another tool left half-way is refused', async (t) => {
  const fresh = freshUrl();
  await ensureDatabase(fresh);
  const dir = await migrationFolder(t, { '1_a': 'create table a (id int);' });
  await migrate(fresh, dir, log);
  await sql(fresh, 'update _prisma_migrations set finished_at = null');
  await assert.rejects(migrate(fresh, dir, log), /migration 1_a once failed half-way/);
});

test('a violated constraint is named, through the client, raw statements and transactions', async () => {
  const sku = randomUUID();
  await db.stock.create({ data: { sku, units: 1 } });
  const violations: [string, () => Promise<unknown>][] = [
    ['stock_pkey', () => db.stock.create({ data: { sku, units: 1 } })],
    ['stock_pkey', () => db.$executeRaw`insert into stock (sku, units) values (${sku}, 1)`],
    ['units_not_negative', () => db.stock.update({ where: { sku }, data: { units: -1 } })],
    ['units_not_negative', () => db.$executeRaw`update stock set units = -1 where sku = ${sku}`],
    ['units_not_negative', () => db.$transaction((tx) => tx.$executeRaw`update stock set units = -1`)],
    ['stock_parent_fkey', () => db.stock.update({ where: { sku }, data: { parent: 'nobody' } })],
  ];
  for (const [name, statement] of violations) {
    await assert.rejects(statement(), (error) => violatedConstraint(error) === name, name);
  }
  for (const other of [new Error('x'), undefined, null, 'text', { meta: {} }]) {
    assert.equal(violatedConstraint(other), undefined);
  }
  await assert.rejects(db.$queryRaw`select 1 / 0`, (error) => violatedConstraint(error) === undefined);
});

test('a check is named by messages in other languages too', () => {
  const german = 'neue Zeile für Relation »stock« verletzt Check-Constraint »units_not_negative«';
  const french =
    'la nouvelle ligne de la relation « stock » viole la contrainte de vérification « units_not_negative »';
  for (const originalMessage of [german, french]) {
    const error = { meta: { driverAdapterError: { cause: { originalCode: '23514', originalMessage } } } };
    assert.equal(violatedConstraint(error), 'units_not_negative');
  }
});

test('arrays bind to unnest as they are, also with nulls, quotes and large numbers', async () => {
  const texts = ['plain', 'with "quotes"', 'a,b{}\\', 'null', '', null];
  const rows = await db.$queryRaw<{ value: string | null }[]>`select * from unnest(${texts}::text[]) as t(value)`;
  assert.deepEqual(
    rows.map(({ value }) => value),
    texts,
  );
  const numbers = [1n, 2n ** 62n, null];
  const wide = await db.$queryRaw<{ value: bigint | null }[]>`select * from unnest(${numbers}::bigint[]) as t(value)`;
  assert.deepEqual(
    wide.map(({ value }) => value),
    numbers,
  );
  const times = [new Date(1_700_000_000_123), new Date(0)];
  const pairs = await db.$queryRaw<{ at: Date; on: boolean; n: number }[]>`
    select * from unnest(${times}::timestamptz[], ${[true, false]}::bool[], ${[1, 2]}::int[]) as t("at", "on", n)`;
  assert.deepEqual(pairs, [
    { at: times[0], on: true, n: 1 },
    { at: times[1], on: false, n: 2 },
  ]);
  assert.deepEqual(await db.$queryRaw`select * from unnest(${[]}::text[]) as t(value)`, []);
});

test('times are the same in and out, whatever the zone of the database', async () => {
  const [sku, at] = [randomUUID(), new Date(1_700_000_000_123)];
  await db.stock.create({ data: { sku, units: 1, at } });
  const [row] = await db.$queryRaw<{ ms: number }[]>`
    select extract(epoch from "at") * 1000 as ms from stock where sku = ${sku}`;
  assert.equal(Number(row?.ms), at.getTime());
  assert.deepEqual((await db.stock.findUniqueOrThrow({ where: { sku } })).at, at);
});

test('connections that the server has ended are replaced', async () => {
  const ended = await sql<{ n: number }>(
    url,
    `select count(pg_terminate_backend(pid))::int as n from pg_stat_activity
     where datname = current_database() and pid <> pg_backend_pid()`,
  );
  assert.ok(Number(ended[0]?.n) > 0);
  assert.equal(await retried(() => db.stock.count({ where: { sku: 'nobody' } })), 0);
  assert.equal(db.ready?.(), true);
});

test('at most 10 connections are used, and the rest waits', async () => {
  const rows = await Promise.all(
    Array.from(
      { length: 30 },
      () => db.$queryRaw<{ pid: number }[]>`select pg_backend_pid() as pid, pg_sleep(0.05)::text`,
    ),
  );
  assert.equal(new Set(rows.map(([row]) => row?.pid)).size, 10);
});

test('a statement is ended by the server after its time limit', async () => {
  const [row] = await db.$queryRaw<{ statement_timeout: string }[]>`show statement_timeout`;
  assert.equal(row?.statement_timeout, '10s');
});

/** A connection that has just been ended may fail one statement. */
async function retried<T>(work: () => Promise<T>): Promise<T> {
  return work().catch(() => work());
}
