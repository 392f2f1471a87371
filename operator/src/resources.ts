/** Where FlashSale resources live. Here: documents in a folder, edited through `flashsale apply`; `kube/` has another. */
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { watch } from 'node:fs';
import { join } from 'node:path';
import { newStatus, type SaleStatus } from './status.ts';

/** One resource as it is stored: the text its owner wrote, and the status we wrote. */
export interface SaleResource {
  readonly namespace: string;
  readonly name: string;
  readonly text: string;
  /** Undefined where no status was written yet. */
  readonly status: SaleStatus | undefined;
  /** The owner asked for its deletion. */
  readonly deleting: boolean;
  /** `metadata.generation`; absent where nobody counts, then the operator does. */
  readonly generation?: number;
}

export interface SaleResources {
  /** Never gives an older status of a resource than was written through this port. */
  list(): Promise<SaleResource[]>;
  /**
   * Calls `onChange` soon after a resource was applied or deleted, and says which one where that is known. Returns the
   * stop.
   */
  watch(onChange: (changed?: Pick<SaleResource, 'namespace' | 'name'>) => void): () => void;
  /** Before anything is done for a sale: from now on its resource stays, with `deleting`, until `remove`. */
  claim(resource: SaleResource): Promise<void>;
  writeStatus(resource: SaleResource, status: SaleStatus): Promise<void>;
  /** Takes away a resource whose deletion was asked for, after its sale was cleaned up. */
  remove(resource: SaleResource): Promise<void>;
}

/**
 * Resources in `folder`: `<namespace>/<name>.yaml`, beside it `<name>.status.json` and, to delete it, `<name>.deleted`.
 * A file that cannot be read keeps only its own sale from being listed; `onUnreadable` hears of it at each listing.
 */
export function resourceFolder(
  folder: string,
  onUnreadable: (path: string, error: unknown) => void = () => undefined,
): SaleResources {
  const file = (resource: { namespace: string; name: string }, ending: string): string =>
    join(folder, resource.namespace, `${resource.name}${ending}`);

  async function read(namespace: string, name: string, deleting: boolean): Promise<SaleResource[]> {
    const path = file({ namespace, name }, '.yaml');
    try {
      const text = await readFile(path, 'utf8');
      const status = await readStatus(file({ namespace, name }, '.status.json'), onUnreadable);
      return [{ namespace, name, text, status, deleting }];
    } catch (error) {
      // Taken away since the folder was listed.
      if (!isMissing(error)) onUnreadable(path, error);
      return [];
    }
  }

  async function readNamespace(namespace: string): Promise<SaleResource[]> {
    const files = new Set(await readdir(join(folder, namespace)));
    const found: SaleResource[] = [];
    for (const name of namesOf(files, '.yaml'))
      found.push(...(await read(namespace, name, files.has(`${name}.deleted`))));
    // A crash while a resource was removed may leave its mark: it must not delete the next one of that name.
    for (const name of namesOf(files, '.deleted')) {
      if (!files.has(`${name}.yaml`)) await rm(file({ namespace, name }, '.deleted'), { force: true });
    }
    return found;
  }

  return {
    async list() {
      await mkdir(folder, { recursive: true });
      const found: SaleResource[] = [];
      for (const entry of await readdir(folder, { withFileTypes: true })) {
        if (entry.isDirectory()) found.push(...(await readNamespace(entry.name)));
      }
      return found;
    },
    watch(onChange) {
      const watcher = watch(folder, { recursive: true }, (_event, changed) => {
        // Our own status writes are no change of a resource.
        if (changed === null || !/\.status\.json/.test(changed)) onChange();
      });
      // A lost watch is made good by the periodic reconcile.
      watcher.on('error', () => watcher.close());
      return () => watcher.close();
    },
    // A document is marked for its deletion, and stays.
    claim: () => Promise.resolve(),
    async writeStatus(resource, status) {
      const target = file(resource, '.status.json');
      // On the disk before it counts: an epoch in it may be used right after.
      await writeFile(`${target}.new`, `${JSON.stringify(status, undefined, 2)}\n`, { flush: true });
      await rename(`${target}.new`, target);
    },
    async remove(resource) {
      // The status first and the mark last: after a crash in between, what is left asks for its removal again.
      for (const ending of ['.status.json', '.yaml', '.deleted']) await rm(file(resource, ending), { force: true });
    },
  };
}

const namesOf = (files: ReadonlySet<string>, ending: string): string[] =>
  [...files]
    .filter((name) => name.endsWith(ending))
    .map((name) => name.slice(0, -ending.length))
    .sort();

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

/** A status that cannot be read counts as lost: Redis, ledger and log know what must not be forgotten. */
async function readStatus(
  path: string,
  onUnreadable: (path: string, error: unknown) => void,
): Promise<SaleStatus | undefined> {
  try {
    const found: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (typeof found !== 'object' || found === null) throw new TypeError('a status is an object');
    return { ...newStatus, ...found };
  } catch (error) {
    if (!isMissing(error)) onUnreadable(path, error);
    return undefined;
  }
}
