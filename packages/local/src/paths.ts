/** Where things are on this machine: the repo, the cache of downloaded servers, the state of the running platform. */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/** The repository's root folder. */
export const REPO = resolve(import.meta.dirname, '../../..');

/** Downloaded servers, one folder `<name>-<version>` each. Shared by all checkouts of this user. */
export const CACHE = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'flashsale');

/** Folder of the running platform's state file; FLASHSALE_HOME moves it. */
export function stateHome(env: NodeJS.ProcessEnv = process.env): string {
  return env['FLASHSALE_HOME'] ?? join(REPO, '.flashsale');
}
