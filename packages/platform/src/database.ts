/** PostgreSQL through Prisma's client: bounded pool, time limits on every statement, and which constraint was violated. */
import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import { withDeadline } from './deadline.ts';
import type { Part } from './run.ts';

export { ensureDatabase, migrate } from './database-migrate.ts';

/** What a generated Prisma client needs to be made with: `new PrismaClient({ adapter })`. */
export type PrismaClientClass<C> = new (options: { adapter: PrismaPg }) => C;

/** A Prisma client that is also a part of a process. */
export type Database<C> = C &
  Part & {
    /** Throws where the database does not answer within 10 s. */
    connect(): Promise<void>;
    /** Waits for the statements under way. */
    disconnect(): Promise<void>;
  };

/** Connections of one process; a statement waits for a free one. */
const POOL_SIZE = 10;
/** To connect, or to get a free connection of the pool. */
const CONNECT_MS = 5_000;
/** The server ends a statement after this. */
const STATEMENT_MS = 10_000;
/** The client gives one up after this: the server itself is gone. */
const QUERY_MS = 12_000;
const CALL_DEADLINE_MS = 10_000;

/** What Prisma adds to a client, as far as it is used here. */
interface PrismaBase {
  $connect(): Promise<void>;
  $disconnect(): Promise<void>;
}

/** Opens a pool of at most 10 connections; a failed statement throws Prisma's error, see `violatedConstraint`. */
export function openDatabase<C extends PrismaBase>(Client: PrismaClientClass<C>, url: string): Database<C> {
  const pool = new pg.Pool({
    connectionString: url,
    max: POOL_SIZE,
    connectionTimeoutMillis: CONNECT_MS,
    idleTimeoutMillis: 30_000,
    statement_timeout: STATEMENT_MS,
    query_timeout: QUERY_MS,
    idle_in_transaction_session_timeout: 30_000,
    keepAlive: true,
    // Prisma writes and reads timestamps without their zone, as UTC: with another zone they would be shifted.
    options: '-c TimeZone=UTC',
  });
  const client = new Client({ adapter: new PrismaPg(pool, { disposeExternalPool: true }) });
  let connected = false;

  async function connect(): Promise<void> {
    await client.$connect();
    // $connect opens nothing by itself with a driver adapter.
    await withDeadline('connecting to the database', CALL_DEADLINE_MS, pool.query('select 1'));
    connected = true;
  }
  async function disconnect(): Promise<void> {
    connected = false;
    await withDeadline('closing the database', CALL_DEADLINE_MS, client.$disconnect());
  }
  return Object.assign(client, {
    name: 'database',
    connect,
    disconnect,
    start: connect,
    ready: () => connected,
    stop: disconnect,
  });
}

/** Of a check only PostgreSQL's message reaches us through Prisma; in every language it names the constraint last, quoted. */
const QUOTED = /["„“”«»]([^"„“”«»]+)["„“”«»]/g;

interface DriverCause {
  readonly originalCode?: unknown;
  readonly originalMessage?: unknown;
  readonly constraint?: { readonly index?: unknown };
}

function driverCause(error: unknown): DriverCause | undefined {
  const shape = error as {
    readonly cause?: unknown;
    readonly meta?: { readonly driverAdapterError?: { readonly cause?: unknown } };
  } | null;
  const cause = shape?.meta?.driverAdapterError?.cause ?? shape?.cause;
  return typeof cause === 'object' && cause !== null ? cause : undefined;
}

/** Integrity errors of PostgreSQL that name a constraint: foreign key, unique, check, exclusion. */
const INTEGRITY = new Set(['23503', '23505', '23514', '23P01']);

/** The name of the unique, check, foreign key or exclusion constraint that an error of a statement tells of. */
export function violatedConstraint(error: unknown): string | undefined {
  const cause = driverCause(error);
  if (!cause || typeof cause.originalCode !== 'string' || !INTEGRITY.has(cause.originalCode)) return undefined;
  if (typeof cause.constraint?.index === 'string') return cause.constraint.index;
  if (typeof cause.originalMessage !== 'string') return undefined;
  return [...cause.originalMessage.matchAll(QUOTED)].at(-1)?.[1]?.trim();
}
