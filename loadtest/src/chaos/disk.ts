/** Small disks in memory that can be filled: `mount` needs root. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { open, statfs } from 'node:fs/promises';
import { join } from 'node:path';

const SIZE = '256m';
const BALLAST = 'ballast';
const PIECE = Buffer.alloc(1024 * 1024);
const TMPFS = 0x0102_1994;

export function mountDisk(folder: string): void {
  mkdirSync(folder, { recursive: true });
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${SIZE},mode=755`, 'flashsale', folder], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`a disk for ${folder} cannot be mounted (that needs root): ${stderr.trim()}`);
}

/** Nothing where none is mounted. */
export async function unmountDisk(folder: string): Promise<void> {
  const type = await statfs(folder).then(
    (stats) => stats.type,
    () => undefined,
  );
  if (type === TMPFS) spawnSync('umount', ['--lazy', folder]);
}

/** Writes until there is no room; then whoever writes beside it has none. */
export async function fillDisk(folder: string): Promise<void> {
  const file = await open(join(folder, BALLAST), 'a');
  try {
    for (;;) await file.write(PIECE);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  } finally {
    await file.close();
  }
}

export function freeDisk(folder: string): void {
  rmSync(join(folder, BALLAST), { force: true });
}
