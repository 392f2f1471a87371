/** Creates a service's database and brings it up to date with Prisma's migration folders, safely from many processes. */
import { createHash, randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Logger } from './log.ts';

const CONNECT_MS = 5_000;
/** The longest statement of a migration, and the longest wait for another process that migrates. */
const MIGRATION_MS = 120_000;
/** How long to wait for a server that is starting. */
const START_BOUND_MS = 30_000;
/** The key that Prisma's own engine takes, so that both can never migrate at the same time. */
const ADVISORY_LOCK = 72707369;

/** Codes of a server that is about to be there, and of two processes that create at the same time. */
const PASSING = new Set(['ECONNREFUSED', 'ECONNRESET', '57P03', '55006']);
const EXISTS = new Set(['42P04', '23505']);

const codeOf = (error: unknown): string => String((error as { code?: unknown } | null)?.code);

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: CONNECT_MS,
    statement_timeout: MIGRATION_MS,
    query_timeout: MIGRATION_MS + CONNECT_MS,
  });
  // A connection that breaks shows in the statement under way.
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Creates the database that the URL names where it is missing. Waits up to 30 s for the server to come up. */
export async function ensureDatabase(url: string): Promise<void> {
  const server = new URL(url);
  const name = decodeURIComponent(server.pathname.slice(1));
  if (name === '') throw new Error('the database URL names no database');
  server.pathname = '/postgres';
  const end = Date.now() + START_BOUND_MS;
  for (;;) {
    try {
      await withClient(server.href, (client) => createDatabase(client, name));
      return;
    } catch (error) {
      if (!PASSING.has(codeOf(error)) || Date.now() > end) throw error;
      await sleep(100 + Math.random() * 200);
    }
  }
}

async function createDatabase(client: pg.Client, name: string): Promise<void> {
  const { rowCount } = await client.query('select 1 from pg_database where datname = $1', [name]);
  if (rowCount) return;
  try {
    await client.query(`create database ${pg.escapeIdentifier(name)}`);
  } catch (error) {
    if (!EXISTS.has(codeOf(error))) throw error;
  }
}

interface Migration {
  readonly name: string;
  readonly sql: string;
  /** SHA-256 of the file in hex, as Prisma records it. */
  readonly checksum: string;
}

interface Applied {
  readonly migration_name: string;
  readonly checksum: string;
  readonly finished_at: Date | null;
}

/** Prisma's own table, column for column. */
const TABLE = `create table if not exists _prisma_migrations (
  id varchar(36) primary key not null,
  checksum varchar(64) not null,
  finished_at timestamptz,
  migration_name varchar(255) not null,
  logs text,
  rolled_back_at timestamptz,
  started_at timestamptz not null default now(),
  applied_steps_count integer not null default 0
)`;

async function readMigrations(dir: string): Promise<Migration[]> {
  const entries = await readdir(dir, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  return Promise.all(
    names.toSorted().map(async (name) => {
      const sql = await readFile(join(dir, name, 'migration.sql'), 'utf8');
      return { name, sql, checksum: createHash('sha256').update(sql).digest('hex') };
    }),
  );
}

/**
 * Applies the migrations of a folder in Prisma's format that are not applied yet, in the order of their names, each in
 * one transaction with its record. Other processes wait. Throws, having changed nothing, where an applied migration
 * was changed afterwards or once failed half-way.
 */
export async function migrate(url: string, migrationsDir: string, log: Logger): Promise<void> {
  const migrations = await readMigrations(migrationsDir);
  await withClient(url, async (client) => {
    await client.query('select pg_advisory_lock($1)', [ADVISORY_LOCK]);
    // The lock ends with the connection.
    await client.query(TABLE);
    const { rows } = await client.query<Applied>(
      'select migration_name, checksum, finished_at from _prisma_migrations where rolled_back_at is null',
    );
    for (const migration of pending(migrations, rows)) {
      const started = Date.now();
      await apply(client, migration);
      log.info({ migration: migration.name, ms: Date.now() - started }, 'migration applied');
    }
  });
}

function pending(migrations: readonly Migration[], rows: readonly Applied[]): Migration[] {
  const applied = new Map(rows.map((row) => [row.migration_name, row]));
  return migrations.filter(({ name, checksum }) => {
    const row = applied.get(name);
    if (!row) return true;
    if (row.finished_at === null) {
      throw new Error(`migration ${name} once failed half-way; repair the database and its row in _prisma_migrations`);
    }
    if (row.checksum !== checksum) {
      throw new Error(`migration ${name} was changed after it had been applied; restore it and add a new one instead`);
    }
    return false;
  });
}

async function apply(client: pg.Client, { name, sql, checksum }: Migration): Promise<void> {
  try {
    await client.query('begin');
    await client.query(sql);
    await client.query(
      `insert into _prisma_migrations (id, checksum, migration_name, started_at, finished_at, applied_steps_count)
       values ($1, $2, $3, now(), clock_timestamp(), 1)`,
      [randomUUID(), checksum, name],
    );
    await client.query('commit');
  } catch (error) {
    await client.query('rollback');
    throw new Error(`migration ${name} failed and was undone: ${(error as Error).message}`, { cause: error });
  }
}
