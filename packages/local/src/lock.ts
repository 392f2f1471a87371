/** A lock between processes of one machine, that the kernel gives back when its holder dies. */
import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** How long to wait for another process's work: building a server from source may take half an hour. */
const WAIT_MS = 45 * 60_000;
const POLL_MS = 200;

/** Tries to take the lock `name`. Returns its release, or undefined where another process has it. */
export async function tryLock(name: string): Promise<(() => Promise<void>) | undefined> {
  // An abstract socket: bound by one process at most, gone with it, and never a stale file.
  const path = `\0flashsale-${createHash('sha256').update(name).digest('hex').slice(0, 32)}`;
  const server = createServer((socket) => socket.destroy());
  if (!(await bound(server, path))) return undefined;
  server.unref();
  return () =>
    new Promise((done) => {
      server.close(() => done());
    });
}

/** Runs `work` while holding the lock `name`. Throws after 45 minutes of waiting. */
export async function withLock<T>(name: string, work: () => Promise<T>, waiting?: () => void): Promise<T> {
  const deadline = Date.now() + WAIT_MS;
  let release = await tryLock(name);
  if (release === undefined) waiting?.();
  while (release === undefined) {
    if (Date.now() > deadline) throw new Error(`another process has held the lock "${name}" for 45 minutes`);
    await sleep(POLL_MS);
    release = await tryLock(name);
  }
  try {
    return await work();
  } finally {
    await release();
  }
}

function bound(server: Server, path: string): Promise<boolean> {
  return new Promise((done, fail) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') done(false);
      else fail(error);
    });
    server.listen({ path, exclusive: true }, () => done(true));
  });
}
