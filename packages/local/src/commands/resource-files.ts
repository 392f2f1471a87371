/** FlashSales of a platform without Kubernetes: documents in DATA/resources, beside them what the operator wrote. */
import { existsSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { resourceFolder } from '@flashsale/operator/resources';
import type { Sales } from './sales.ts';

export function folderSales(dir: string): Sales {
  const resources = resourceFolder(dir);
  return {
    list: () => resources.list(),
    write: async ({ namespace, name }, text, old) => {
      if (old?.text === text) return 'unchanged';
      await mkdir(join(dir, namespace), { recursive: true });
      const file = join(dir, namespace, `${name}.yaml`);
      // In one step: a reader sees the old or the new one.
      await writeFile(`${file}.new`, text);
      await rename(`${file}.new`, file);
      return old === undefined ? 'created' : 'configured';
    },
    askDeletion: ({ namespace, name }) => writeFile(join(dir, namespace, `${name}.deleted`), ''),
    isGone: ({ namespace, name }) => Promise.resolve(!existsSync(join(dir, namespace, `${name}.yaml`))),
  };
}
