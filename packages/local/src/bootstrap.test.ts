/** `scripts/bootstrap.mjs`: it knows an installed tree, and does nothing to one. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { REPO } from './paths.ts';

const SCRIPT = join(REPO, 'scripts/bootstrap.mjs');
const { isInstalled } = (await import(pathToFileURL(SCRIPT).href)) as { isInstalled: (folder: string) => boolean };
const folder = mkdtempSync(join(tmpdir(), 'flashsale-bootstrap-'));
after(() => rmSync(folder, { recursive: true, force: true }));

type Packages = Readonly<Record<string, { readonly version?: string; readonly optional?: boolean }>>;
function write(file: string, packages: Packages): void {
  mkdirSync(join(folder, 'node_modules'), { recursive: true });
  writeFileSync(join(folder, file), JSON.stringify({ packages }));
}

test('installed is what the lock file names, less what is optional', () => {
  assert.equal(isInstalled(folder), false);
  write('package-lock.json', {
    '': {},
    'packages/sale': { version: '0.1.0' },
    'node_modules/a': { version: '1.0.0' },
    'node_modules/for-another-system': { version: '1.0.0', optional: true },
  });
  assert.equal(isInstalled(folder), false);
  write('node_modules/.package-lock.json', { 'node_modules/a': { version: '1.0.0' } });
  assert.equal(isInstalled(folder), true);
  write('node_modules/.package-lock.json', { 'node_modules/a': { version: '1.0.1' } });
  assert.equal(isInstalled(folder), false);
  write('node_modules/.package-lock.json', {});
  assert.equal(isInstalled(folder), false);
});

test('a second run changes nothing', () => {
  assert.equal(isInstalled(REPO), true);
  const { status, stderr } = spawnSync(process.execPath, [SCRIPT], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  assert.doesNotMatch(stderr, /Installing/);
});
