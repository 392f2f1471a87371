/** Where FlashSale resources live. Here: documents in a folder, edited through `flashsale apply`. */
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { watch } from 'node:fs';
import { join } from 'node:path';
import type { SaleStatus } from './status.ts';

/** One resource as it is stored: the text its owner wrote, and the status we wrote. */
export interface SaleResource {
  readonly namespace: string;
  readonly name: string;
  readonly text: string;
  /** Undefined where no status was written yet. */
  readonly status: SaleStatus | undefined;
  /** The owner asked for its deletion. */
  readonly deleting: boolean;
}

export interface SaleResources {
  list(): Promise<SaleResource[]>;
  /** Calls `onChange` soon after a resource was applied or deleted. Returns the stop. */
  watch(onChange: () => void): () => void;
  writeStatus(resource: SaleResource, status: SaleStatus): Promise<void>;
  /** Takes away a resource whose deletion was asked for, after its sale was cleaned up. */
  remove(resource: SaleResource): Promise<void>;
}

/** Resources in `folder`: `<namespace>/<name>.yaml`, beside it `<name>.status.json` and, to delete it, `<name>.deleted`. */
export function resourceFolder(folder: string): SaleResources {
  const file = (resource: { namespace: string; name: string }, ending: string): string =>
    join(folder, resource.namespace, `${resource.name}${ending}`);

  async function read(namespace: string, name: string, deleting: boolean): Promise<SaleResource> {
    const text = await readFile(file({ namespace, name }, '.yaml'), 'utf8');
    const status = await readStatus(file({ namespace, name }, '.status.json'));
    return { namespace, name, text, status, deleting };
  }

  return {
    async list() {
      await mkdir(folder, { recursive: true });
      const found: SaleResource[] = [];
      for (const entry of await readdir(folder, { withFileTypes: true })) {
        if (!entry.isDirectory()) continue;
        const files = new Set(await readdir(join(folder, entry.name)));
        const names = [...files].filter((name) => name.endsWith('.yaml')).map((name) => name.slice(0, -5));
        for (const name of names.sort()) found.push(await read(entry.name, name, files.has(`${name}.deleted`)));
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
    async writeStatus(resource, status) {
      const target = file(resource, '.status.json');
      await writeFile(`${target}.new`, `${JSON.stringify(status, undefined, 2)}\n`);
      await rename(`${target}.new`, target);
    },
    async remove(resource) {
      for (const ending of ['.yaml', '.status.json', '.deleted']) await rm(file(resource, ending), { force: true });
    },
  };
}

async function readStatus(path: string): Promise<SaleStatus | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as SaleStatus;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
